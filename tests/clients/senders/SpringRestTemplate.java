// Spring's RestTemplate: names of files are encoded words when a multipart charset is set, as Spring Boot does.
import java.nio.charset.StandardCharsets;
import org.springframework.core.io.FileSystemResource;
import org.springframework.http.HttpEntity;
import org.springframework.http.HttpHeaders;
import org.springframework.http.MediaType;
import org.springframework.http.converter.FormHttpMessageConverter;
import org.springframework.http.converter.HttpMessageConverter;
import org.springframework.util.LinkedMultiValueMap;
import org.springframework.util.MultiValueMap;
import org.springframework.web.client.RestTemplate;

class SpringRestTemplate {
    public static void main(String[] arguments) {
        RestTemplate client = new RestTemplate();
        for (HttpMessageConverter<?> converter : client.getMessageConverters()) {
            if (arguments.length > 2 && converter instanceof FormHttpMessageConverter) {
                ((FormHttpMessageConverter) converter).setMultipartCharset(StandardCharsets.UTF_8);
            }
        }
        MultiValueMap<String, Object> form = new LinkedMultiValueMap<>();
        form.add("title", "Crème");
        form.add("tags", "sea");
        form.add("tags", "evening");
        form.add("file", new FileSystemResource(arguments[1]));
        HttpHeaders headers = new HttpHeaders();
        headers.setContentType(MediaType.MULTIPART_FORM_DATA);
        System.out.println(client.postForEntity(arguments[0], new HttpEntity<>(form, headers), String.class).getStatusCode());
    }
}
