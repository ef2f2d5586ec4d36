<?php
// Guzzle, the HTTP client of Laravel and Symfony projects.
require "GuzzleHttp/autoload.php";
$answer = (new GuzzleHttp\Client())->post($argv[1], ["multipart" => [
    ["name" => "title", "contents" => "Crème"],
    ["name" => "tags[]", "contents" => "sea"],
    ["name" => "tags[]", "contents" => "evening"],
    ["name" => "file", "contents" => fopen($argv[2], "r")],
]]);
echo $answer->getStatusCode(), "\n";
