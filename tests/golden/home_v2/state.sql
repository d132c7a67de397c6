PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE book (
	stream VARCHAR NOT NULL, 
	applied INTEGER NOT NULL, 
	duplicate INTEGER NOT NULL, 
	late INTEGER NOT NULL, 
	rejected INTEGER NOT NULL, 
	last_event_ms INTEGER NOT NULL, 
	PRIMARY KEY (stream)
);
INSERT INTO "book" VALUES('deliveries',44,0,0,0,1736905860000);
INSERT INTO "book" VALUES('orders',76,0,0,1,1736905950000);
INSERT INTO "book" VALUES('shops',4,0,0,0,1736899200000);
CREATE TABLE dead_letter (
	stream VARCHAR NOT NULL, 
	log_offset INTEGER NOT NULL, 
	known_at_ms INTEGER NOT NULL, 
	reason VARCHAR NOT NULL, 
	detail TEXT NOT NULL, 
	payload TEXT NOT NULL, 
	PRIMARY KEY (stream, log_offset)
)
 WITHOUT ROWID

;
INSERT INTO "dead_letter" VALUES('orders',125,1736905950000,'not_json','Invalid JSON: EOF while parsing an object at line 1 column 1','{');
CREATE TABLE definition (
	"view" VARCHAR NOT NULL, 
	version INTEGER NOT NULL, 
	digest VARCHAR NOT NULL, 
	text TEXT NOT NULL, 
	first_seen_ms INTEGER NOT NULL, 
	PRIMARY KEY ("view", version)
)
 WITHOUT ROWID

;
INSERT INTO "definition" VALUES('by_shop',1,'ac5bd9b2ebd59a32','{"entity": ["shop"], "features": {"mean_delay_3h": ["mean", "\"delay_min\"", 10800000, 300000], "n_3h": ["count", "", 10800000, 300000]}, "stream": "deliveries"}',0);
INSERT INTO "definition" VALUES('shop_info',1,'e205e1fa16a49482','{"columns": [["size", "number"], ["town", "text"], ["opened", "time"], ["chain", "number"]], "entity": ["shop"], "stream": "shops"}',0);
CREATE TABLE duplicate (
	stream VARCHAR NOT NULL, 
	log_offset INTEGER NOT NULL, 
	PRIMARY KEY (stream, log_offset)
)
 WITHOUT ROWID

;
CREATE TABLE follower (
	name VARCHAR NOT NULL, 
	token TEXT NOT NULL, 
	PRIMARY KEY (name)
)
 WITHOUT ROWID

;
CREATE TABLE log_identity (
	stream VARCHAR NOT NULL, 
	identity VARCHAR NOT NULL, 
	PRIMARY KEY (stream)
)
 WITHOUT ROWID

;
CREATE TABLE outcome (
	model VARCHAR NOT NULL, 
	number INTEGER NOT NULL, 
	log_offset INTEGER NOT NULL, 
	"key" VARCHAR NOT NULL, 
	known_at_ms INTEGER NOT NULL, 
	value FLOAT, 
	text VARCHAR, 
	PRIMARY KEY (model, number)
)
 WITHOUT ROWID

;
INSERT INTO "outcome" VALUES('late_order',26,26,'o1',1736901090000,0.0,NULL);
INSERT INTO "outcome" VALUES('late_order',31,31,'o3',1736901390000,0.0,NULL);
INSERT INTO "outcome" VALUES('late_order',33,33,'o2',1736901540000,0.0,NULL);
INSERT INTO "outcome" VALUES('late_order',38,38,'o8',1736901840000,0.0,NULL);
INSERT INTO "outcome" VALUES('late_order',39,39,'o5',1736901870000,0.0,NULL);
INSERT INTO "outcome" VALUES('late_order',42,42,'o12',1736902080000,0.0,NULL);
INSERT INTO "outcome" VALUES('late_order',44,44,'o7',1736902110000,0.0,NULL);
INSERT INTO "outcome" VALUES('late_order',46,46,'o4',1736902200000,0.0,NULL);
INSERT INTO "outcome" VALUES('late_order',47,47,'o13',1736902230000,0.0,NULL);
INSERT INTO "outcome" VALUES('late_order',49,49,'o0',1736902320000,1.0,NULL);
INSERT INTO "outcome" VALUES('late_order',51,51,'o6',1736902380000,0.0,NULL);
INSERT INTO "outcome" VALUES('late_order',53,53,'o15',1736902530000,0.0,NULL);
INSERT INTO "outcome" VALUES('late_order',58,58,'o9',1736902830000,1.0,NULL);
INSERT INTO "outcome" VALUES('late_order',61,61,'o19',1736903010000,0.0,NULL);
INSERT INTO "outcome" VALUES('late_order',63,63,'o16',1736903100000,0.0,NULL);
INSERT INTO "outcome" VALUES('late_order',66,66,'o14',1736903280000,1.0,NULL);
INSERT INTO "outcome" VALUES('late_order',68,68,'o18',1736903400000,0.0,NULL);
INSERT INTO "outcome" VALUES('late_order',71,71,'o20',1736903580000,0.0,NULL);
INSERT INTO "outcome" VALUES('late_order',74,74,'o11',1736903730000,1.0,NULL);
INSERT INTO "outcome" VALUES('late_order',75,75,'o29',1736903790000,0.0,NULL);
INSERT INTO "outcome" VALUES('late_order',78,78,'o10',1736903940000,1.0,NULL);
INSERT INTO "outcome" VALUES('late_order',81,81,'o17',1736904090000,1.0,NULL);
INSERT INTO "outcome" VALUES('late_order',82,82,'o34',1736904120000,0.0,NULL);
INSERT INTO "outcome" VALUES('late_order',84,84,'o28',1736904240000,0.0,NULL);
INSERT INTO "outcome" VALUES('late_order',85,85,'o32',1736904240000,0.0,NULL);
INSERT INTO "outcome" VALUES('late_order',87,87,'o23',1736904330000,1.0,NULL);
INSERT INTO "outcome" VALUES('late_order',90,90,'o21',1736904450000,1.0,NULL);
INSERT INTO "outcome" VALUES('late_order',91,91,'o25',1736904450000,1.0,NULL);
INSERT INTO "outcome" VALUES('late_order',94,94,'o33',1736904690000,0.0,NULL);
INSERT INTO "outcome" VALUES('late_order',96,96,'o26',1736904780000,1.0,NULL);
INSERT INTO "outcome" VALUES('late_order',99,99,'o40',1736904960000,0.0,NULL);
INSERT INTO "outcome" VALUES('late_order',102,102,'o30',1736905140000,1.0,NULL);
INSERT INTO "outcome" VALUES('late_order',104,104,'o39',1736905170000,0.0,NULL);
INSERT INTO "outcome" VALUES('late_order',105,105,'o24',1736905200000,1.0,NULL);
INSERT INTO "outcome" VALUES('late_order',107,107,'o22',1736905260000,1.0,NULL);
INSERT INTO "outcome" VALUES('late_order',108,108,'o41',1736905290000,0.0,NULL);
INSERT INTO "outcome" VALUES('late_order',111,111,'o45',1736905470000,0.0,NULL);
INSERT INTO "outcome" VALUES('late_order',112,112,'o44',1736905500000,0.0,NULL);
INSERT INTO "outcome" VALUES('late_order',114,114,'o31',1736905530000,1.0,NULL);
INSERT INTO "outcome" VALUES('late_order',115,115,'o37',1736905590000,1.0,NULL);
INSERT INTO "outcome" VALUES('late_order',116,116,'o47',1736905590000,0.0,NULL);
INSERT INTO "outcome" VALUES('late_order',119,119,'o36',1736905740000,1.0,NULL);
INSERT INTO "outcome" VALUES('late_order',120,120,'o27',1736905770000,1.0,NULL);
INSERT INTO "outcome" VALUES('late_order',122,122,'o38',1736905860000,1.0,NULL);
CREATE TABLE position (
	id INTEGER NOT NULL, 
	token TEXT NOT NULL, 
	known_at_ms INTEGER NOT NULL, 
	change INTEGER NOT NULL, 
	fed TEXT NOT NULL, 
	lake_token TEXT NOT NULL, 
	lost BOOLEAN NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "position" VALUES(0,'{"deliveries":{"0":125},"orders":{"0":125},"shops":{"0":125}}',1736905950000,1,'1,2','{}',0);
CREATE TABLE sketch (
	set_number INTEGER NOT NULL, 
	slot TEXT NOT NULL, 
	"key" VARCHAR NOT NULL, 
	start_ms INTEGER NOT NULL, 
	state BLOB NOT NULL
);
CREATE TABLE table_row (
	set_number INTEGER NOT NULL, 
	"key" VARCHAR NOT NULL, 
	at_ms INTEGER NOT NULL, 
	event_id VARCHAR NOT NULL, 
	log_offset INTEGER NOT NULL, 
	held BLOB NOT NULL, 
	PRIMARY KEY (set_number, "key", at_ms, event_id)
)
 WITHOUT ROWID

;
INSERT INTO "table_row" VALUES(2,'a',1736899200000,'a1',1,X'5B3130302E302C224C65656B222C313730323333393230303030302E302C312E305D');
INSERT INTO "table_row" VALUES(2,'b',1736899200000,'b1',2,X'5B3130312E302C224C65656B222C313730323333393230303030302E302C312E305D');
INSERT INTO "table_row" VALUES(2,'c',1736899200000,'c1',3,X'5B3130322E302C225269706F6E222C313730323333393230303030302E302C302E305D');
INSERT INTO "table_row" VALUES(2,'d',1736899200000,'d1',4,X'5B3130332E302C225269706F6E222C313730323333393230303030302E302C302E305D');
CREATE TABLE tile_set (
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	"view" VARCHAR NOT NULL, 
	bucket_ms INTEGER NOT NULL, 
	digest VARCHAR NOT NULL, 
	fed_from TEXT NOT NULL, 
	filled_to INTEGER NOT NULL, 
	whole BOOLEAN NOT NULL
);
INSERT INTO "tile_set" VALUES(1,'by_shop',300000,'ac5bd9b2ebd59a32','{}',0,1);
INSERT INTO "tile_set" VALUES(2,'shop_info',0,'e205e1fa16a49482','{}',0,1);
CREATE UNIQUE INDEX sketch_by_place ON sketch (set_number, slot, "key", start_ms);
CREATE INDEX sketch_by_start ON sketch (set_number, start_ms);
CREATE INDEX outcome_by_key ON outcome (model, "key");
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('tile_set',2);
COMMIT;