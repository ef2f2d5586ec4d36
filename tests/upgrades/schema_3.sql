BEGIN TRANSACTION;
CREATE TABLE entries (
    owner TEXT NOT NULL,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    image TEXT NOT NULL,
    PRIMARY KEY (owner, kind, value, image)
) WITHOUT ROWID;
INSERT INTO "entries" VALUES('anonymous','','','019ac9e6-bba3-7159-8623-2bffa7f56b2f');
INSERT INTO "entries" VALUES('anonymous','','','019ac9e6-bbaf-79b2-96b6-06c8283eb7fb');
INSERT INTO "entries" VALUES('anonymous','','','019ac9e6-bbbd-7150-80a4-3cd80dde540a');
INSERT INTO "entries" VALUES('anonymous','','','019ac9e6-bbc3-78ad-ae1e-1481c1e47ed1');
INSERT INTO "entries" VALUES('anonymous','','','019ac9e6-bbd0-7ffb-b34c-acb7ff9650d4');
INSERT INTO "entries" VALUES('anonymous','','','019ac9e6-c025-77b1-b30b-8932a5274660');
INSERT INTO "entries" VALUES('anonymous','copy','59e68d43e4f9eab08bd4508999e673ab7015f3184d18aec7e12302c95441a490','019ac9e6-bbaf-79b2-96b6-06c8283eb7fb');
INSERT INTO "entries" VALUES('anonymous','status','failed','019ac9e6-bbc3-78ad-ae1e-1481c1e47ed1');
INSERT INTO "entries" VALUES('anonymous','status','pending','019ac9e6-c025-77b1-b30b-8932a5274660');
INSERT INTO "entries" VALUES('anonymous','status','ready','019ac9e6-bba3-7159-8623-2bffa7f56b2f');
INSERT INTO "entries" VALUES('anonymous','status','ready','019ac9e6-bbaf-79b2-96b6-06c8283eb7fb');
INSERT INTO "entries" VALUES('anonymous','status','ready','019ac9e6-bbbd-7150-80a4-3cd80dde540a');
INSERT INTO "entries" VALUES('anonymous','status','ready','019ac9e6-bbd0-7ffb-b34c-acb7ff9650d4');
INSERT INTO "entries" VALUES('anonymous','tag','evening','019ac9e6-bba3-7159-8623-2bffa7f56b2f');
INSERT INTO "entries" VALUES('anonymous','tag','sea','019ac9e6-bba3-7159-8623-2bffa7f56b2f');
INSERT INTO "entries" VALUES('anonymous','ticket','','019ac9e6-c043-7892-8fb2-b1de8168bdce');
INSERT INTO "entries" VALUES('anonymous','type','image/jpeg','019ac9e6-bba3-7159-8623-2bffa7f56b2f');
INSERT INTO "entries" VALUES('anonymous','type','image/jpeg','019ac9e6-bbaf-79b2-96b6-06c8283eb7fb');
INSERT INTO "entries" VALUES('anonymous','type','image/jpeg','019ac9e6-bbc3-78ad-ae1e-1481c1e47ed1');
INSERT INTO "entries" VALUES('anonymous','type','image/jpeg','019ac9e6-bbd0-7ffb-b34c-acb7ff9650d4');
INSERT INTO "entries" VALUES('anonymous','type','image/jpeg','019ac9e6-c025-77b1-b30b-8932a5274660');
INSERT INTO "entries" VALUES('anonymous','type','image/png','019ac9e6-bbbd-7150-80a4-3cd80dde540a');
CREATE TABLE hashes (
    owner TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    image TEXT NOT NULL,
    PRIMARY KEY (owner, sha256)
) WITHOUT ROWID;
INSERT INTO "hashes" VALUES('anonymous','05b60c78b7214ed60c395d708598eb05da5009e24803f5641e541644ee0d01a4','019ac9e6-bbc3-78ad-ae1e-1481c1e47ed1');
INSERT INTO "hashes" VALUES('anonymous','33dd4d1981379f361a1bd503ac09f83b289e31f28023b6dc41bd1b24120346d5','019ac9e6-bbd0-7ffb-b34c-acb7ff9650d4');
INSERT INTO "hashes" VALUES('anonymous','59e68d43e4f9eab08bd4508999e673ab7015f3184d18aec7e12302c95441a490','019ac9e6-bba3-7159-8623-2bffa7f56b2f');
INSERT INTO "hashes" VALUES('anonymous','7030f0c942fbd7c5a87ff5e69dd0f4868ccf38dbe03bc7fc9bf1b3b277a288e3','019ac9e6-bbbd-7150-80a4-3cd80dde540a');
INSERT INTO "hashes" VALUES('anonymous','eef5716f3547340ada19272e1508a19efac8ab623b46372b4789f06fe132ebd7','019ac9e6-c025-77b1-b30b-8932a5274660');
CREATE TABLE images (
    id TEXT PRIMARY KEY,
    document TEXT NOT NULL,
    buried INTEGER NOT NULL DEFAULT 0,
    unsettled INTEGER NOT NULL DEFAULT 0,
    expires_at REAL
);
INSERT INTO "images" VALUES('019ac9e6-bba3-7159-8623-2bffa7f56b2f','{"id":"019ac9e6-bba3-7159-8623-2bffa7f56b2f","owner":"anonymous","status":"ready","error":null,"filename":"hill \"é\".jpg","content_type":"image/jpeg","declared_content_type":null,"bytes":1464,"sha256":"59e68d43e4f9eab08bd4508999e673ab7015f3184d18aec7e12302c95441a490","width":96,"height":64,"frames":1,"has_alpha":false,"hdr":null,"uploaded_at":"2025-11-28T09:58:53.091061Z","processed_at":"2025-11-28T09:58:53.370989Z","updated_at":"2025-11-28T09:58:53.371219Z","version":2,"taken_at":"2023-05-06T07:08:09+02:00","camera":"NIKON D70","exif":{"make":"NIKON CORPORATION","model":"NIKON D70","iso":400},"rights":{"artist":"Ann Ö. Author","copyright":"© 2024 Ann"},"privacy_report":{"gps":true,"serial":false,"owner_name":false,"comment":false,"thumbnail":false},"thumbhash":"npYBXYocc2eId3dQm3eHdxyIwIEI","dominant_color":"#1d79c6","palette":["#1d79c6","#deb414","#177ac6","#1d73c5","#4683a4"],"phash":"c1c13e2e393ac979","title":"Hill <1>","alt":"A [hill] & a *sun*","tags":["sea","evening"],"focal_point":null,"metadata":{},"rendering_id":"bf8af22bc353","recipe_id":"9655d0279a08","variants":[{"name":"thumb","format":"webp","width":64,"height":64,"bytes":794,"file":"thumb.webp"},{"name":"w320","format":"webp","width":96,"height":64,"bytes":766,"file":"w320.webp"},{"name":"w640","format":"webp","width":96,"height":64,"bytes":766,"file":"w320.webp"},{"name":"w1280","format":"webp","width":96,"height":64,"bytes":766,"file":"w320.webp"},{"name":"w1280","format":"jpeg","width":96,"height":64,"bytes":1286,"file":"w1280.jpg"},{"name":"w1920","format":"webp","width":96,"height":64,"bytes":766,"file":"w320.webp"}],"upload_expires_at":null,"arrived_at":null,"stale_renderings":[],"last_tried_at":null}',0,0,NULL);
INSERT INTO "images" VALUES('019ac9e6-bbaf-79b2-96b6-06c8283eb7fb','{"id":"019ac9e6-bbaf-79b2-96b6-06c8283eb7fb","owner":"anonymous","status":"ready","error":null,"filename":"again.jpg","content_type":"image/jpeg","declared_content_type":null,"bytes":1464,"sha256":"59e68d43e4f9eab08bd4508999e673ab7015f3184d18aec7e12302c95441a490","width":96,"height":64,"frames":1,"has_alpha":false,"hdr":null,"uploaded_at":"2025-11-28T09:58:53.103599Z","processed_at":"2025-11-28T09:58:53.546359Z","updated_at":"2025-11-28T09:58:53.546601Z","version":2,"taken_at":"2023-05-06T07:08:09+02:00","camera":"NIKON D70","exif":{"make":"NIKON CORPORATION","model":"NIKON D70","iso":400},"rights":{"artist":"Ann Ö. Author","copyright":"© 2024 Ann"},"privacy_report":{"gps":true,"serial":false,"owner_name":false,"comment":false,"thumbnail":false},"thumbhash":"npYBXYocc2eId3dQm3eHdxyIwIEI","dominant_color":"#1d79c6","palette":["#1d79c6","#deb414","#177ac6","#1d73c5","#4683a4"],"phash":"c1c13e2e393ac979","title":null,"alt":null,"tags":[],"focal_point":null,"metadata":{},"rendering_id":"bf8af22bc353","recipe_id":"9655d0279a08","variants":[{"name":"thumb","format":"webp","width":64,"height":64,"bytes":794,"file":"thumb.webp"},{"name":"w320","format":"webp","width":96,"height":64,"bytes":766,"file":"w320.webp"},{"name":"w640","format":"webp","width":96,"height":64,"bytes":766,"file":"w320.webp"},{"name":"w1280","format":"webp","width":96,"height":64,"bytes":766,"file":"w320.webp"},{"name":"w1280","format":"jpeg","width":96,"height":64,"bytes":1286,"file":"w1280.jpg"},{"name":"w1920","format":"webp","width":96,"height":64,"bytes":766,"file":"w320.webp"}],"upload_expires_at":null,"arrived_at":null,"stale_renderings":[],"last_tried_at":null}',0,0,NULL);
INSERT INTO "images" VALUES('019ac9e6-bbbd-7150-80a4-3cd80dde540a','{"id":"019ac9e6-bbbd-7150-80a4-3cd80dde540a","owner":"anonymous","status":"ready","error":null,"filename":"alpha.png","content_type":"image/png","declared_content_type":null,"bytes":281,"sha256":"7030f0c942fbd7c5a87ff5e69dd0f4868ccf38dbe03bc7fc9bf1b3b277a288e3","width":48,"height":48,"frames":1,"has_alpha":true,"hdr":null,"uploaded_at":"2025-11-28T09:58:53.117021Z","processed_at":"2025-11-28T09:58:54.131060Z","updated_at":"2025-11-28T09:58:54.131391Z","version":3,"taken_at":null,"camera":null,"exif":{},"rights":{"artist":null,"copyright":null},"privacy_report":{"gps":false,"serial":false,"owner_name":false,"comment":false,"thumbnail":false},"thumbhash":"YNmBPQYIMIeRiZJ5eTCRAhMpf2uPiHe4aA==","dominant_color":"#dbb313","palette":["#dbb313","#1d77c7","#1775cd","#e1b50d","#789471"],"phash":"8f7078634e8eb899","title":null,"alt":null,"tags":[],"focal_point":null,"metadata":{},"rendering_id":"5e531dc182b0","recipe_id":"bb3351f59b4a","variants":[{"name":"thumb","format":"webp","width":32,"height":32,"bytes":274,"file":"thumb.webp"}],"upload_expires_at":null,"arrived_at":null,"stale_renderings":["bf8af22bc353"],"last_tried_at":null}',0,1,NULL);
INSERT INTO "images" VALUES('019ac9e6-bbc3-78ad-ae1e-1481c1e47ed1','{"id":"019ac9e6-bbc3-78ad-ae1e-1481c1e47ed1","owner":"anonymous","status":"failed","error":{"code":"corrupt_image","detail":"The JPEG ends before its pixels."},"filename":"cut.jpg","content_type":"image/jpeg","declared_content_type":null,"bytes":534,"sha256":"05b60c78b7214ed60c395d708598eb05da5009e24803f5641e541644ee0d01a4","width":null,"height":null,"frames":null,"has_alpha":null,"hdr":null,"uploaded_at":"2025-11-28T09:58:53.123537Z","processed_at":"2025-11-28T09:58:53.644267Z","updated_at":"2025-11-28T09:58:53.644399Z","version":2,"taken_at":null,"camera":null,"exif":{},"rights":null,"privacy_report":null,"thumbhash":null,"dominant_color":null,"palette":[],"phash":null,"title":null,"alt":null,"tags":[],"focal_point":null,"metadata":{},"rendering_id":null,"recipe_id":null,"variants":[],"upload_expires_at":null,"arrived_at":null,"stale_renderings":[],"last_tried_at":null}',0,0,NULL);
INSERT INTO "images" VALUES('019ac9e6-bbd0-7ffb-b34c-acb7ff9650d4','{"id":"019ac9e6-bbd0-7ffb-b34c-acb7ff9650d4","owner":"anonymous","status":"ready","error":null,"filename":"t.jpg","content_type":"image/jpeg","declared_content_type":"image/jpeg","bytes":1148,"sha256":"33dd4d1981379f361a1bd503ac09f83b289e31f28023b6dc41bd1b24120346d5","width":96,"height":64,"frames":1,"has_alpha":false,"hdr":null,"uploaded_at":"2025-11-28T09:58:53.136992Z","processed_at":"2025-11-28T09:58:54.060637Z","updated_at":"2025-11-28T09:58:54.060855Z","version":2,"taken_at":null,"camera":null,"exif":{},"rights":{"artist":null,"copyright":null},"privacy_report":{"gps":false,"serial":false,"owner_name":false,"comment":false,"thumbnail":false},"thumbhash":"4KYBXYgccmeId3dQq3iHdxyIwIEI","dominant_color":"#3279cb","palette":["#3279cb","#deb416","#2c7ac8","#3273d3","#61879b"],"phash":"c1c13e2f383ac979","title":null,"alt":null,"tags":[],"focal_point":null,"metadata":{},"rendering_id":"bf8af22bc353","recipe_id":"9655d0279a08","variants":[{"name":"thumb","format":"webp","width":64,"height":64,"bytes":708,"file":"thumb.webp"},{"name":"w320","format":"webp","width":96,"height":64,"bytes":646,"file":"w320.webp"},{"name":"w640","format":"webp","width":96,"height":64,"bytes":646,"file":"w320.webp"},{"name":"w1280","format":"webp","width":96,"height":64,"bytes":646,"file":"w320.webp"},{"name":"w1280","format":"jpeg","width":96,"height":64,"bytes":1189,"file":"w1280.jpg"},{"name":"w1920","format":"webp","width":96,"height":64,"bytes":646,"file":"w320.webp"}],"upload_expires_at":null,"arrived_at":null,"stale_renderings":[],"last_tried_at":null}',0,0,NULL);
INSERT INTO "images" VALUES('019ac9e6-bbd7-786e-a908-419254f19448','{"id":"019ac9e6-bbd7-786e-a908-419254f19448","owner":"anonymous","deleted_at":"2025-11-28T09:58:54.201238Z","expires_at":"2325-12-28T09:58:54.201238Z","settled":true}',1,0,11233936734.201);
INSERT INTO "images" VALUES('019ac9e6-bbe8-760a-ba6b-c9bef70c3148','{"id":"019ac9e6-bbe8-760a-ba6b-c9bef70c3148","owner":"anonymous","deleted_at":"2025-11-28T09:58:54.240232Z","expires_at":"2325-12-28T09:58:54.240232Z","settled":false}',1,1,NULL);
INSERT INTO "images" VALUES('019ac9e6-c025-77b1-b30b-8932a5274660','{"id":"019ac9e6-c025-77b1-b30b-8932a5274660","owner":"anonymous","status":"pending","error":null,"filename":"late.jpg","content_type":"image/jpeg","declared_content_type":null,"bytes":1032,"sha256":"eef5716f3547340ada19272e1508a19efac8ab623b46372b4789f06fe132ebd7","width":null,"height":null,"frames":null,"has_alpha":null,"hdr":null,"uploaded_at":"2025-11-28T09:58:54.245464Z","processed_at":null,"updated_at":"2025-11-28T09:58:54.245464Z","version":1,"taken_at":null,"camera":null,"exif":{},"rights":null,"privacy_report":null,"thumbhash":null,"dominant_color":null,"palette":[],"phash":null,"title":null,"alt":null,"tags":[],"focal_point":null,"metadata":{},"rendering_id":null,"recipe_id":null,"variants":[],"upload_expires_at":null,"arrived_at":null,"stale_renderings":[],"last_tried_at":null}',0,1,NULL);
INSERT INTO "images" VALUES('019ac9e6-c043-7892-8fb2-b1de8168bdce','{"id":"019ac9e6-c043-7892-8fb2-b1de8168bdce","owner":"anonymous","status":"pending","error":null,"filename":"u.jpg","content_type":"image/jpeg","declared_content_type":"image/jpeg","bytes":976,"sha256":null,"width":null,"height":null,"frames":null,"has_alpha":null,"hdr":null,"uploaded_at":"2025-11-28T09:58:54.275522Z","processed_at":null,"updated_at":"2025-11-28T09:58:54.275522Z","version":1,"taken_at":null,"camera":null,"exif":{},"rights":null,"privacy_report":null,"thumbhash":null,"dominant_color":null,"palette":[],"phash":null,"title":null,"alt":null,"tags":[],"focal_point":null,"metadata":{},"rendering_id":null,"recipe_id":null,"variants":[],"upload_expires_at":"2025-12-05T09:58:54.275522Z","arrived_at":null,"stale_renderings":[],"last_tried_at":null}',0,1,NULL);
INSERT INTO "images" VALUES('019ac9e6-c049-71c4-8363-131922667784','{"id":"019ac9e6-c049-71c4-8363-131922667784","owner":"anonymous","status":"pending","error":null,"filename":"v.jpg","content_type":"image/jpeg","declared_content_type":"image/jpeg","bytes":934,"sha256":"74be27636fc8487a3bcc632538ae2546bdc3972e16f3c7b9d02211f61f528526","width":null,"height":null,"frames":null,"has_alpha":null,"hdr":null,"uploaded_at":"2025-11-28T09:58:54.281100Z","processed_at":null,"updated_at":"2025-11-28T09:58:54.328934Z","version":2,"taken_at":null,"camera":null,"exif":{},"rights":null,"privacy_report":null,"thumbhash":null,"dominant_color":null,"palette":[],"phash":null,"title":null,"alt":null,"tags":[],"focal_point":null,"metadata":{},"rendering_id":null,"recipe_id":null,"variants":[],"upload_expires_at":"2025-12-05T09:58:54.281100Z","arrived_at":"2025-11-28T09:58:54.328736Z","stale_renderings":[],"last_tried_at":null}',0,1,NULL);
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    body TEXT NOT NULL,
    due REAL NOT NULL,
    receives INTEGER NOT NULL DEFAULT 0,
    receipt TEXT,
    dead INTEGER NOT NULL DEFAULT 0
);
INSERT INTO "messages" VALUES(8,'{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","eventTime":"2025-11-28T09:58:54.262000Z","eventName":"ObjectCreated:Put","s3":{"s3SchemaVersion":"1.0","bucket":{"name":"darkroom"},"object":{"key":"originals/019ac9e6-c025-77b1-b30b-8932a5274660","size":1032}}}]}',1764323934.263,0,NULL,0);
INSERT INTO "messages" VALUES(9,'{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","eventTime":"2025-11-28T09:58:54.320000Z","eventName":"ObjectCreated:Put","s3":{"s3SchemaVersion":"1.0","bucket":{"name":"darkroom"},"object":{"key":"originals/019ac9e6-c049-71c4-8363-131922667784","size":934}}}]}',1764323934.320,0,NULL,0);
CREATE INDEX images_unsettled ON images (id) WHERE unsettled = 1;
CREATE INDEX images_expiring ON images (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX messages_due ON messages (due, id) WHERE dead = 0;
CREATE INDEX messages_receives ON messages (receives, due) WHERE dead = 0;
CREATE INDEX messages_dead ON messages (id) WHERE dead = 1;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('messages',9);
COMMIT;
PRAGMA application_id = 1147236971;
PRAGMA user_version = 3;
