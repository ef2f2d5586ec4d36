<?php
// PHP's curl extension: a form from an array, with the names that PHP programs give to lists.
$request = curl_init($argv[1]);
curl_setopt($request, CURLOPT_RETURNTRANSFER, true);
curl_setopt($request, CURLOPT_POSTFIELDS, [
    "title" => "Crème",
    "tags[0]" => "sea",
    "tags[1]" => "evening",
    "file" => new CURLFile($argv[2], "image/png", basename($argv[2])),
]);
curl_exec($request);
echo curl_getinfo($request, CURLINFO_HTTP_CODE), "\n";
