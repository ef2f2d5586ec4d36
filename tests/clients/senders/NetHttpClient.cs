// .NET's HttpClient with MultipartFormDataContent: file names beyond ASCII are sent as encoded words, and as `filename*`.
using System;
using System.IO;
using System.Net.Http;

class NetHttpClient
{
    static void Main(string[] arguments)
    {
        var form = new MultipartFormDataContent
        {
            { new StringContent("Crème"), "title" },
            { new StringContent("sea"), "tags" },
            { new StringContent("evening"), "tags" },
            { new ByteArrayContent(File.ReadAllBytes(arguments[1])), "file", Path.GetFileName(arguments[1]) },
        };
        Console.WriteLine((int)new HttpClient().PostAsync(arguments[0], form).Result.StatusCode);
    }
}
