# Ruby's own Net::HTTP with set_form.
require "net/http"
uri = URI(ARGV[0])
request = Net::HTTP::Post.new(uri)
File.open(ARGV[1], "rb") do |file|
  request.set_form([["title", "Crème"], ["tags", "sea"], ["tags", "evening"], ["file", file]], "multipart/form-data")
  puts Net::HTTP.start(uri.host, uri.port) { |http| http.request(request) }.code
end
