BEGIN TRANSACTION;
CREATE TABLE entries (
    owner TEXT NOT NULL,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    image TEXT NOT NULL,
    PRIMARY KEY (owner, kind, value, image)
) WITHOUT ROWID;
INSERT INTO "entries" VALUES('anonymous','','','019ac962-10e2-7dab-9451-5733264b77b5');
INSERT INTO "entries" VALUES('anonymous','','','019ac962-196c-7140-917a-8b65ec512cd7');
INSERT INTO "entries" VALUES('anonymous','','','019ac962-1ab2-7384-955f-7d20f202c58e');
INSERT INTO "entries" VALUES('anonymous','','','019ac962-1b6b-7eb8-9f4f-334e4673277b');
INSERT INTO "entries" VALUES('anonymous','','','019ac962-1bb3-7226-9090-0aed03cfad84');
INSERT INTO "entries" VALUES('anonymous','','','019ac962-3214-7368-a3f0-a94e3644df60');
INSERT INTO "entries" VALUES('anonymous','copy','59e68d43e4f9eab08bd4508999e673ab7015f3184d18aec7e12302c95441a490','019ac962-196c-7140-917a-8b65ec512cd7');
INSERT INTO "entries" VALUES('anonymous','status','failed','019ac962-1b6b-7eb8-9f4f-334e4673277b');
INSERT INTO "entries" VALUES('anonymous','status','pending','019ac962-3214-7368-a3f0-a94e3644df60');
INSERT INTO "entries" VALUES('anonymous','status','ready','019ac962-10e2-7dab-9451-5733264b77b5');
INSERT INTO "entries" VALUES('anonymous','status','ready','019ac962-196c-7140-917a-8b65ec512cd7');
INSERT INTO "entries" VALUES('anonymous','status','ready','019ac962-1ab2-7384-955f-7d20f202c58e');
INSERT INTO "entries" VALUES('anonymous','status','ready','019ac962-1bb3-7226-9090-0aed03cfad84');
INSERT INTO "entries" VALUES('anonymous','tag','evening','019ac962-10e2-7dab-9451-5733264b77b5');
INSERT INTO "entries" VALUES('anonymous','tag','sea','019ac962-10e2-7dab-9451-5733264b77b5');
INSERT INTO "entries" VALUES('anonymous','ticket','','019ac962-3239-7006-a775-84b2838246de');
INSERT INTO "entries" VALUES('anonymous','type','image/jpeg','019ac962-10e2-7dab-9451-5733264b77b5');
INSERT INTO "entries" VALUES('anonymous','type','image/jpeg','019ac962-196c-7140-917a-8b65ec512cd7');
INSERT INTO "entries" VALUES('anonymous','type','image/jpeg','019ac962-1b6b-7eb8-9f4f-334e4673277b');
INSERT INTO "entries" VALUES('anonymous','type','image/jpeg','019ac962-1bb3-7226-9090-0aed03cfad84');
INSERT INTO "entries" VALUES('anonymous','type','image/jpeg','019ac962-3214-7368-a3f0-a94e3644df60');
INSERT INTO "entries" VALUES('anonymous','type','image/png','019ac962-1ab2-7384-955f-7d20f202c58e');
CREATE TABLE hashes (
    owner TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    image TEXT NOT NULL,
    PRIMARY KEY (owner, sha256)
) WITHOUT ROWID;
INSERT INTO "hashes" VALUES('anonymous','05b60c78b7214ed60c395d708598eb05da5009e24803f5641e541644ee0d01a4','019ac962-1b6b-7eb8-9f4f-334e4673277b');
INSERT INTO "hashes" VALUES('anonymous','33dd4d1981379f361a1bd503ac09f83b289e31f28023b6dc41bd1b24120346d5','019ac962-1bb3-7226-9090-0aed03cfad84');
INSERT INTO "hashes" VALUES('anonymous','59e68d43e4f9eab08bd4508999e673ab7015f3184d18aec7e12302c95441a490','019ac962-10e2-7dab-9451-5733264b77b5');
INSERT INTO "hashes" VALUES('anonymous','7030f0c942fbd7c5a87ff5e69dd0f4868ccf38dbe03bc7fc9bf1b3b277a288e3','019ac962-1ab2-7384-955f-7d20f202c58e');
INSERT INTO "hashes" VALUES('anonymous','eef5716f3547340ada19272e1508a19efac8ab623b46372b4789f06fe132ebd7','019ac962-3214-7368-a3f0-a94e3644df60');
CREATE TABLE images (
    id TEXT PRIMARY KEY,
    document TEXT NOT NULL,
    buried INTEGER NOT NULL DEFAULT 0,
    unsettled INTEGER NOT NULL DEFAULT 0,
    expires_at REAL
);
INSERT INTO "images" VALUES('019ac962-10e2-7dab-9451-5733264b77b5','{"id":"019ac962-10e2-7dab-9451-5733264b77b5","owner":"anonymous","status":"ready","error":null,"filename":"hill \"é\".jpg","content_type":"image/jpeg","declared_type":"image/jpeg","bytes":1464,"sha256":"59e68d43e4f9eab08bd4508999e673ab7015f3184d18aec7e12302c95441a490","width":96,"height":64,"frames":1,"has_alpha":false,"hdr":null,"uploaded_at":"2025-11-28T07:33:58.626842Z","processed_at":"2025-11-28T07:34:00.645447Z","updated_at":"2025-11-28T07:34:00.645632Z","version":2,"taken_at":"2023-05-06T07:08:09+02:00","camera":"NIKON D70","exif":{"make":"NIKON CORPORATION","model":"NIKON D70","iso":400,"artist":"Ann Ö. Author","copyright":"© 2024 Ann"},"privacy":{"gps":true,"serial":false,"owner_name":false,"comment":false,"thumbnail":false},"thumbhash":"npYBXYocc2eId3dQm3eHdxyIwIEI","dominant_color":"#1d79c6","palette":["#1d79c6","#deb414","#177ac6","#1d73c5","#4683a4"],"phash":"c1c13e2e393ac979","title":"Hill <1>","alt":"A [hill] & a *sun*","tags":["sea","evening"],"focal_point":null,"metadata":{},"rendering":"d5ec11239862","variants":[{"name":"thumb","format":"webp","width":64,"height":64,"bytes":794,"file":"thumb.webp"},{"name":"w320","format":"webp","width":96,"height":64,"bytes":766,"file":"w320.webp"},{"name":"w640","format":"webp","width":96,"height":64,"bytes":766,"file":"w320.webp"},{"name":"w1280","format":"webp","width":96,"height":64,"bytes":766,"file":"w320.webp"},{"name":"w1280","format":"jpeg","width":96,"height":64,"bytes":1286,"file":"w1280.jpg"},{"name":"w1920","format":"webp","width":96,"height":64,"bytes":766,"file":"w320.webp"}],"expires_at":null,"arrived_at":null,"stale_renderings":[],"last_tried_at":null}',0,0,NULL);
INSERT INTO "images" VALUES('019ac962-196c-7140-917a-8b65ec512cd7','{"id":"019ac962-196c-7140-917a-8b65ec512cd7","owner":"anonymous","status":"ready","error":null,"filename":"again.jpg","content_type":"image/jpeg","declared_type":"image/jpeg","bytes":1464,"sha256":"59e68d43e4f9eab08bd4508999e673ab7015f3184d18aec7e12302c95441a490","width":96,"height":64,"frames":1,"has_alpha":false,"hdr":null,"uploaded_at":"2025-11-28T07:34:00.812072Z","processed_at":"2025-11-28T07:34:00.992260Z","updated_at":"2025-11-28T07:34:00.992440Z","version":2,"taken_at":"2023-05-06T07:08:09+02:00","camera":"NIKON D70","exif":{"make":"NIKON CORPORATION","model":"NIKON D70","iso":400,"artist":"Ann Ö. Author","copyright":"© 2024 Ann"},"privacy":{"gps":true,"serial":false,"owner_name":false,"comment":false,"thumbnail":false},"thumbhash":"npYBXYocc2eId3dQm3eHdxyIwIEI","dominant_color":"#1d79c6","palette":["#1d79c6","#deb414","#177ac6","#1d73c5","#4683a4"],"phash":"c1c13e2e393ac979","title":null,"alt":null,"tags":[],"focal_point":null,"metadata":{},"rendering":"d5ec11239862","variants":[{"name":"thumb","format":"webp","width":64,"height":64,"bytes":794,"file":"thumb.webp"},{"name":"w320","format":"webp","width":96,"height":64,"bytes":766,"file":"w320.webp"},{"name":"w640","format":"webp","width":96,"height":64,"bytes":766,"file":"w320.webp"},{"name":"w1280","format":"webp","width":96,"height":64,"bytes":766,"file":"w320.webp"},{"name":"w1280","format":"jpeg","width":96,"height":64,"bytes":1286,"file":"w1280.jpg"},{"name":"w1920","format":"webp","width":96,"height":64,"bytes":766,"file":"w320.webp"}],"expires_at":null,"arrived_at":null,"stale_renderings":[],"last_tried_at":null}',0,0,NULL);
INSERT INTO "images" VALUES('019ac962-1ab2-7384-955f-7d20f202c58e','{"id":"019ac962-1ab2-7384-955f-7d20f202c58e","owner":"anonymous","status":"ready","error":null,"filename":"alpha.png","content_type":"image/png","declared_type":"image/jpeg","bytes":281,"sha256":"7030f0c942fbd7c5a87ff5e69dd0f4868ccf38dbe03bc7fc9bf1b3b277a288e3","width":48,"height":48,"frames":1,"has_alpha":true,"hdr":null,"uploaded_at":"2025-11-28T07:34:01.138212Z","processed_at":"2025-11-28T07:34:07.063705Z","updated_at":"2025-11-28T07:34:07.063929Z","version":3,"taken_at":null,"camera":null,"exif":{},"privacy":{"gps":false,"serial":false,"owner_name":false,"comment":false,"thumbnail":false},"thumbhash":"YNmBPQYIMIeRiZJ5eTCRAhMpf2uPiHe4aA==","dominant_color":"#dbb313","palette":["#dbb313","#1d77c7","#1775cd","#e1b50d","#789471"],"phash":"8f7078634e8eb899","title":null,"alt":null,"tags":[],"focal_point":null,"metadata":{},"rendering":"8e42377c8e50","variants":[{"name":"w32","format":"webp","width":32,"height":32,"bytes":274,"file":"w32.webp"},{"name":"w16","format":"webp","width":16,"height":16,"bytes":192,"file":"w16.webp"},{"name":"w16","format":"png","width":16,"height":16,"bytes":348,"file":"w16.png"}],"expires_at":null,"arrived_at":null,"stale_renderings":["d5ec11239862"],"last_tried_at":null}',0,1,NULL);
INSERT INTO "images" VALUES('019ac962-1b6b-7eb8-9f4f-334e4673277b','{"id":"019ac962-1b6b-7eb8-9f4f-334e4673277b","owner":"anonymous","status":"failed","error":{"code":"corrupt_image","detail":"The JPEG ends before its pixels."},"filename":"cut.jpg","content_type":"image/jpeg","declared_type":"image/jpeg","bytes":534,"sha256":"05b60c78b7214ed60c395d708598eb05da5009e24803f5641e541644ee0d01a4","width":null,"height":null,"frames":null,"has_alpha":null,"hdr":null,"uploaded_at":"2025-11-28T07:34:01.323913Z","processed_at":"2025-11-28T07:34:01.368113Z","updated_at":"2025-11-28T07:34:01.368283Z","version":2,"taken_at":null,"camera":null,"exif":{},"privacy":null,"thumbhash":null,"dominant_color":null,"palette":[],"phash":null,"title":null,"alt":null,"tags":[],"focal_point":null,"metadata":{},"rendering":null,"variants":[],"expires_at":null,"arrived_at":null,"stale_renderings":[],"last_tried_at":null}',0,0,NULL);
INSERT INTO "images" VALUES('019ac962-1bb3-7226-9090-0aed03cfad84','{"id":"019ac962-1bb3-7226-9090-0aed03cfad84","owner":"anonymous","status":"ready","error":null,"filename":"t.jpg","content_type":"image/jpeg","declared_type":"image/jpeg","bytes":1148,"sha256":"33dd4d1981379f361a1bd503ac09f83b289e31f28023b6dc41bd1b24120346d5","width":96,"height":64,"frames":1,"has_alpha":false,"hdr":null,"uploaded_at":"2025-11-28T07:34:01.395127Z","processed_at":"2025-11-28T07:34:01.611174Z","updated_at":"2025-11-28T07:34:01.611344Z","version":3,"taken_at":null,"camera":null,"exif":{},"privacy":{"gps":false,"serial":false,"owner_name":false,"comment":false,"thumbnail":false},"thumbhash":"4KYBXYgccmeId3dQq3iHdxyIwIEI","dominant_color":"#3279cb","palette":["#3279cb","#deb416","#2c7ac8","#3273d3","#61879b"],"phash":"c1c13e2f383ac979","title":null,"alt":null,"tags":[],"focal_point":null,"metadata":{},"rendering":"d5ec11239862","variants":[{"name":"thumb","format":"webp","width":64,"height":64,"bytes":708,"file":"thumb.webp"},{"name":"w320","format":"webp","width":96,"height":64,"bytes":646,"file":"w320.webp"},{"name":"w640","format":"webp","width":96,"height":64,"bytes":646,"file":"w320.webp"},{"name":"w1280","format":"webp","width":96,"height":64,"bytes":646,"file":"w320.webp"},{"name":"w1280","format":"jpeg","width":96,"height":64,"bytes":1189,"file":"w1280.jpg"},{"name":"w1920","format":"webp","width":96,"height":64,"bytes":646,"file":"w320.webp"}],"expires_at":null,"arrived_at":"2025-11-28T07:34:01.425294Z","stale_renderings":[],"last_tried_at":null}',0,0,NULL);
INSERT INTO "images" VALUES('019ac962-1c9b-764c-8c6b-69d545cf3788','{"id":"019ac962-1c9b-764c-8c6b-69d545cf3788","owner":"anonymous","deleted_at":"2025-11-28T07:34:01.798964Z","expires_at":"2325-12-28T07:34:01.798964Z","settled":true}',1,0,11227707241.799);
INSERT INTO "images" VALUES('019ac962-3214-7368-a3f0-a94e3644df60','{"id":"019ac962-3214-7368-a3f0-a94e3644df60","owner":"anonymous","status":"pending","error":null,"filename":"late.jpg","content_type":"image/jpeg","declared_type":"image/jpeg","bytes":1032,"sha256":"eef5716f3547340ada19272e1508a19efac8ab623b46372b4789f06fe132ebd7","width":null,"height":null,"frames":null,"has_alpha":null,"hdr":null,"uploaded_at":"2025-11-28T07:34:07.124204Z","processed_at":null,"updated_at":"2025-11-28T07:34:07.124204Z","version":1,"taken_at":null,"camera":null,"exif":{},"privacy":null,"thumbhash":null,"dominant_color":null,"palette":[],"phash":null,"title":null,"alt":null,"tags":[],"focal_point":null,"metadata":{},"rendering":null,"variants":[],"expires_at":null,"arrived_at":null,"stale_renderings":[],"last_tried_at":null}',0,1,NULL);
INSERT INTO "images" VALUES('019ac962-3239-7006-a775-84b2838246de','{"id":"019ac962-3239-7006-a775-84b2838246de","owner":"anonymous","status":"pending","error":null,"filename":"u.jpg","content_type":"image/jpeg","declared_type":"image/jpeg","bytes":976,"sha256":null,"width":null,"height":null,"frames":null,"has_alpha":null,"hdr":null,"uploaded_at":"2025-11-28T07:34:07.160992Z","processed_at":null,"updated_at":"2025-11-28T07:34:07.160992Z","version":1,"taken_at":null,"camera":null,"exif":{},"privacy":null,"thumbhash":null,"dominant_color":null,"palette":[],"phash":null,"title":null,"alt":null,"tags":["x"],"focal_point":null,"metadata":{},"rendering":null,"variants":[],"expires_at":"2025-11-29T07:34:07.160992Z","arrived_at":null,"stale_renderings":[],"last_tried_at":null}',0,1,NULL);
INSERT INTO "images" VALUES('019ac962-3246-7fda-be74-d236b844a03d','{"id":"019ac962-3246-7fda-be74-d236b844a03d","owner":"anonymous","status":"pending","error":null,"filename":"v.jpg","content_type":"image/jpeg","declared_type":"image/jpeg","bytes":934,"sha256":"74be27636fc8487a3bcc632538ae2546bdc3972e16f3c7b9d02211f61f528526","width":null,"height":null,"frames":null,"has_alpha":null,"hdr":null,"uploaded_at":"2025-11-28T07:34:07.174986Z","processed_at":null,"updated_at":"2025-11-28T07:34:07.206977Z","version":2,"taken_at":null,"camera":null,"exif":{},"privacy":null,"thumbhash":null,"dominant_color":null,"palette":[],"phash":null,"title":null,"alt":null,"tags":[],"focal_point":null,"metadata":{},"rendering":null,"variants":[],"expires_at":"2025-11-29T07:34:07.174986Z","arrived_at":"2025-11-28T07:34:07.206942Z","stale_renderings":[],"last_tried_at":null}',0,1,NULL);
INSERT INTO "images" VALUES('019ac962-1d67-7a7a-b79f-de622cfdc037','{"id":"019ac962-1d67-7a7a-b79f-de622cfdc037","owner":"anonymous","deleted_at":"2025-11-28T07:34:07.219701Z","expires_at":"2325-12-28T07:34:07.219701Z","settled":false}',1,1,NULL);
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    body TEXT NOT NULL,
    due REAL NOT NULL,
    receives INTEGER NOT NULL DEFAULT 0,
    receipt TEXT,
    dead INTEGER NOT NULL DEFAULT 0
);
INSERT INTO "messages" VALUES(10,'{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","eventTime":"2025-11-28T07:34:07.138Z","eventName":"ObjectCreated:Put","s3":{"s3SchemaVersion":"1.0","bucket":{"name":"darkroom"},"object":{"key":"originals/019ac962-3214-7368-a3f0-a94e3644df60","size":1032}}}]}',1764315247.139,0,NULL,0);
INSERT INTO "messages" VALUES(11,'{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","eventTime":"2025-11-28T07:34:07.195Z","eventName":"ObjectCreated:Put","s3":{"s3SchemaVersion":"1.0","bucket":{"name":"darkroom"},"object":{"key":"originals/019ac962-3246-7fda-be74-d236b844a03d","size":934}}}]}',1764315247.196,0,NULL,0);
CREATE INDEX images_unsettled ON images (id) WHERE unsettled = 1;
CREATE INDEX images_expiring ON images (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX messages_due ON messages (due, id) WHERE dead = 0;
CREATE INDEX messages_receives ON messages (receives, due) WHERE dead = 0;
CREATE INDEX messages_dead ON messages (id) WHERE dead = 1;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('messages',11);
COMMIT;
PRAGMA application_id = 1147236971;
PRAGMA user_version = 2;
