# Faraday with its multipart middleware: lists are sent as `tags[]`.
require "faraday"
client = Faraday.new do |builder|
  builder.request :multipart
  builder.adapter :net_http
end
form = { title: "Crème", tags: %w[sea evening], file: Faraday::FilePart.new(ARGV[1], "image/png") }
puts client.post(ARGV[0], form).status
