// Go's mime/multipart and net/http: parts from CreateFormFile are octet streams, and a piped body is chunked.
package main

import (
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
)

func main() {
	reader, writer := io.Pipe()
	form := multipart.NewWriter(writer)
	go func() {
		form.WriteField("title", "Crème")
		form.WriteField("tags", "sea")
		form.WriteField("tags", "evening")
		part, _ := form.CreateFormFile("file", filepath.Base(os.Args[2]))
		file, _ := os.Open(os.Args[2])
		io.Copy(part, file)
		form.Close()
		writer.Close()
	}()
	answer, err := http.Post(os.Args[1], form.FormDataContentType(), reader)
	if err != nil {
		panic(err)
	}
	fmt.Println(answer.StatusCode)
}
