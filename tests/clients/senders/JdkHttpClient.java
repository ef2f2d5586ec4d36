// java.net.http.HttpClient with its defaults: it offers h2c by `Connection: Upgrade`. It has no form builder of its own.
import java.io.ByteArrayOutputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

class JdkHttpClient {
    public static void main(String[] arguments) throws Exception {
        Path file = Path.of(arguments[1]);
        ByteArrayOutputStream body = new ByteArrayOutputStream();
        body.write(("--jdk\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nCrème\r\n--jdk\r\n"
            + "Content-Disposition: form-data; name=\"file\"; filename=\"" + file.getFileName() + "\"\r\n"
            + "Content-Type: image/png\r\n\r\n").getBytes(StandardCharsets.UTF_8));
        body.write(Files.readAllBytes(file));
        body.write("\r\n--jdk--\r\n".getBytes(StandardCharsets.UTF_8));
        HttpRequest request = HttpRequest.newBuilder(URI.create(arguments[0]))
            .header("Content-Type", "multipart/form-data; boundary=jdk")
            .POST(HttpRequest.BodyPublishers.ofByteArray(body.toByteArray())).build();
        System.out.println(HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).statusCode());
    }
}
