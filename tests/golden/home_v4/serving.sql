PRAGMA user_version = 2;
BEGIN TRANSACTION;
CREATE TABLE intact (
	since VARCHAR NOT NULL, 
	PRIMARY KEY (since)
);
INSERT INTO "intact" VALUES('00000000-0000-4000-8000-000000000000');
CREATE TABLE prediction (
	id INTEGER NOT NULL, 
	model VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	at_ms INTEGER NOT NULL, 
	made_wall_ms INTEGER NOT NULL, 
	position TEXT NOT NULL, 
	digest VARCHAR NOT NULL, 
	request TEXT NOT NULL, 
	vector BLOB NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "prediction" VALUES(0,'','',0,0,'{}','','{}',X'');
INSERT INTO "prediction" VALUES(1,'late_order','o1',1,1,'{}','d','{"order_id":"o1"}',X'000000000000000000000000000000000000000000000000');
CREATE TABLE prediction_text (
	prediction_id INTEGER NOT NULL, 
	texts BLOB NOT NULL, 
	PRIMARY KEY (prediction_id)
);
CREATE TABLE score (
	prediction_id INTEGER NOT NULL, 
	role VARCHAR NOT NULL, 
	version INTEGER NOT NULL, 
	probability FLOAT, 
	value FLOAT, 
	probabilities BLOB, 
	PRIMARY KEY (prediction_id, role)
)
 WITHOUT ROWID

;
INSERT INTO "score" VALUES(1,'champion',1,0.25,NULL,NULL);
CREATE TABLE server (
	id VARCHAR NOT NULL, 
	model VARCHAR NOT NULL, 
	version INTEGER NOT NULL, 
	seen_wall_ms INTEGER NOT NULL, 
	PRIMARY KEY (id, model)
);
CREATE TABLE version_classes (
	model VARCHAR NOT NULL, 
	version INTEGER NOT NULL, 
	classes TEXT NOT NULL, 
	PRIMARY KEY (model, version)
)
 WITHOUT ROWID

;
CREATE INDEX prediction_by_time ON prediction (model, at_ms);
COMMIT;