# rest-client: lists are sent as `tags[]`.
require "rest-client"
puts RestClient.post(ARGV[0], { title: "Crème", tags: %w[sea evening], file: File.new(ARGV[1], "rb") }).code
