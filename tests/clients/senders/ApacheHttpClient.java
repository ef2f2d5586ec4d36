// Apache HttpClient 4.5 with httpmime: text parts are ISO-8859-1 unless a program says otherwise.
import java.io.File;
import org.apache.http.client.methods.HttpPost;
import org.apache.http.entity.mime.HttpMultipartMode;
import org.apache.http.entity.mime.MultipartEntityBuilder;
import org.apache.http.impl.client.CloseableHttpClient;
import org.apache.http.impl.client.HttpClients;

class ApacheHttpClient {
    public static void main(String[] arguments) throws Exception {
        MultipartEntityBuilder form = MultipartEntityBuilder.create();
        if (arguments.length > 2) {
            form.setMode(HttpMultipartMode.valueOf(arguments[2]));
        }
        form.addTextBody("title", "Crème").addBinaryBody("file", new File(arguments[1]));
        HttpPost request = new HttpPost(arguments[0]);
        request.setEntity(form.build());
        try (CloseableHttpClient client = HttpClients.createDefault()) {
            System.out.println(client.execute(request).getStatusLine().getStatusCode());
        }
    }
}
