PRAGMA user_version = 2;
BEGIN TRANSACTION;
CREATE TABLE received (
	stream VARCHAR NOT NULL, 
	events INTEGER NOT NULL, 
	PRIMARY KEY (stream)
);
INSERT INTO "received" VALUES('shops',4);
INSERT INTO "received" VALUES('deliveries',44);
INSERT INTO "received" VALUES('orders',77);
CREATE TABLE run (
	first_offset INTEGER NOT NULL, 
	n INTEGER NOT NULL, 
	stream VARCHAR NOT NULL, 
	known_at_ms BLOB NOT NULL, 
	lengths BLOB NOT NULL, 
	payloads TEXT NOT NULL, 
	trace VARCHAR, 
	PRIMARY KEY (first_offset)
);
INSERT INTO "run" VALUES(1,4,'shops',X'0084426794010000008442679401000000844267940100000084426794010000',X'9B000000000000009B000000000000009D000000000000009D00000000000000','{"row_id": "a1", "valid_from": "2025-01-15T00:00:00+00:00", "shop": "a", "town": "Leek", "size": 100, "opened": "2023-12-12T00:00:00+00:00", "chain": true}{"row_id": "b1", "valid_from": "2025-01-15T00:00:00+00:00", "shop": "b", "town": "Leek", "size": 101, "opened": "2023-12-12T00:00:00+00:00", "chain": true}{"row_id": "c1", "valid_from": "2025-01-15T00:00:00+00:00", "shop": "c", "town": "Ripon", "size": 102, "opened": "2023-12-12T00:00:00+00:00", "chain": false}{"row_id": "d1", "valid_from": "2025-01-15T00:00:00+00:00", "shop": "d", "town": "Ripon", "size": 103, "opened": "2023-12-12T00:00:00+00:00", "chain": false}',NULL);
INSERT INTO "run" VALUES(5,21,'orders',X'008442679401000090E34367940100002043456794010000B0A24667940100004002486794010000D06149679401000060C14A6794010000F0204C679401000080804D679401000010E04E6794010000A03F506794010000309F516794010000C0FE526794010000505E546794010000E0BD556794010000701D576794010000007D58679401000090DC596794010000203C5B6794010000B09B5C679401000040FB5D6794010000',X'4B000000000000004B000000000000004B000000000000004B000000000000004B000000000000004B000000000000004B000000000000004B000000000000004B000000000000004B000000000000004C000000000000004C000000000000004C000000000000004C000000000000004C000000000000004C000000000000004C000000000000004C000000000000004C000000000000004C000000000000004C00000000000000','{"order_id": "o0", "placed_at": 1736899200000, "shop": "e", "amount": 65.0}{"order_id": "o1", "placed_at": 1736899290000, "shop": "c", "amount": 53.0}{"order_id": "o2", "placed_at": 1736899380000, "shop": "e", "amount": 29.0}{"order_id": "o3", "placed_at": 1736899470000, "shop": "e", "amount": 13.0}{"order_id": "o4", "placed_at": 1736899560000, "shop": "d", "amount": 94.0}{"order_id": "o5", "placed_at": 1736899650000, "shop": "d", "amount": 81.0}{"order_id": "o6", "placed_at": 1736899740000, "shop": "c", "amount": 56.0}{"order_id": "o7", "placed_at": 1736899830000, "shop": "e", "amount": 64.0}{"order_id": "o8", "placed_at": 1736899920000, "shop": "d", "amount": 36.0}{"order_id": "o9", "placed_at": 1736900010000, "shop": "c", "amount": 87.0}{"order_id": "o10", "placed_at": 1736900100000, "shop": "d", "amount": 95.0}{"order_id": "o11", "placed_at": 1736900190000, "shop": "a", "amount": 17.0}{"order_id": "o12", "placed_at": 1736900280000, "shop": "d", "amount": 28.0}{"order_id": "o13", "placed_at": 1736900370000, "shop": "e", "amount": 87.0}{"order_id": "o14", "placed_at": 1736900460000, "shop": "a", "amount": 83.0}{"order_id": "o15", "placed_at": 1736900550000, "shop": "e", "amount": 70.0}{"order_id": "o16", "placed_at": 1736900640000, "shop": "c", "amount": 58.0}{"order_id": "o17", "placed_at": 1736900730000, "shop": "d", "amount": 85.0}{"order_id": "o18", "placed_at": 1736900820000, "shop": "e", "amount": 42.0}{"order_id": "o19", "placed_at": 1736900910000, "shop": "c", "amount": 44.0}{"order_id": "o20", "placed_at": 1736901000000, "shop": "e", "amount": 31.0}',NULL);
INSERT INTO "run" VALUES(26,1,'deliveries',X'D05A5F6794010000',X'5000000000000000','{"order_id": "o1", "delivered_at": 1736901090000, "shop": "c", "delay_min": 0.0}',NULL);
INSERT INTO "run" VALUES(27,4,'orders',X'D05A5F679401000060BA606794010000F0196267940100008079636794010000',X'4C000000000000004C000000000000004C000000000000004C00000000000000','{"order_id": "o21", "placed_at": 1736901090000, "shop": "b", "amount": 79.0}{"order_id": "o22", "placed_at": 1736901180000, "shop": "d", "amount": 39.0}{"order_id": "o23", "placed_at": 1736901270000, "shop": "a", "amount": 70.0}{"order_id": "o24", "placed_at": 1736901360000, "shop": "b", "amount": 36.0}',NULL);
INSERT INTO "run" VALUES(31,1,'deliveries',X'B0EE636794010000',X'5000000000000000','{"order_id": "o3", "delivered_at": 1736901390000, "shop": "e", "delay_min": 2.0}',NULL);
INSERT INTO "run" VALUES(32,1,'orders',X'10D9646794010000',X'4C00000000000000','{"order_id": "o25", "placed_at": 1736901450000, "shop": "c", "amount": 20.0}',NULL);
INSERT INTO "run" VALUES(33,1,'deliveries',X'A038666794010000',X'5000000000000000','{"order_id": "o2", "delivered_at": 1736901540000, "shop": "e", "delay_min": 6.0}',NULL);
INSERT INTO "run" VALUES(34,4,'orders',X'A0386667940100003098676794010000C0F768679401000050576A6794010000',X'4C000000000000004C000000000000004C000000000000004B00000000000000','{"order_id": "o26", "placed_at": 1736901540000, "shop": "e", "amount": 51.0}{"order_id": "o27", "placed_at": 1736901630000, "shop": "a", "amount": 71.0}{"order_id": "o28", "placed_at": 1736901720000, "shop": "d", "amount": 85.0}{"order_id": "o29", "placed_at": 1736901810000, "shop": "e", "amount": 9.0}',NULL);
INSERT INTO "run" VALUES(38,2,'deliveries',X'80CC6A6794010000B0416B6794010000',X'50000000000000005000000000000000','{"order_id": "o8", "delivered_at": 1736901840000, "shop": "d", "delay_min": 2.0}{"order_id": "o5", "delivered_at": 1736901870000, "shop": "d", "delay_min": 7.0}',NULL);
INSERT INTO "run" VALUES(40,2,'orders',X'E0B66B679401000070166D6794010000',X'4C000000000000004C00000000000000','{"order_id": "o30", "placed_at": 1736901900000, "shop": "a", "amount": 27.0}{"order_id": "o31", "placed_at": 1736901990000, "shop": "c", "amount": 90.0}',NULL);
INSERT INTO "run" VALUES(42,1,'deliveries',X'00766E6794010000',X'5100000000000000','{"order_id": "o12", "delivered_at": 1736902080000, "shop": "d", "delay_min": 0.0}',NULL);
INSERT INTO "run" VALUES(43,1,'orders',X'00766E6794010000',X'4C00000000000000','{"order_id": "o32", "placed_at": 1736902080000, "shop": "e", "amount": 20.0}',NULL);
INSERT INTO "run" VALUES(44,1,'deliveries',X'30EB6E6794010000',X'5000000000000000','{"order_id": "o7", "delivered_at": 1736902110000, "shop": "e", "delay_min": 8.0}',NULL);
INSERT INTO "run" VALUES(45,1,'orders',X'90D56F6794010000',X'4C00000000000000','{"order_id": "o33", "placed_at": 1736902170000, "shop": "e", "amount": 47.0}',NULL);
INSERT INTO "run" VALUES(46,2,'deliveries',X'C04A706794010000F0BF706794010000',X'51000000000000005100000000000000','{"order_id": "o4", "delivered_at": 1736902200000, "shop": "d", "delay_min": 14.0}{"order_id": "o13", "delivered_at": 1736902230000, "shop": "e", "delay_min": 1.0}',NULL);
INSERT INTO "run" VALUES(48,1,'orders',X'2035716794010000',X'4B00000000000000','{"order_id": "o34", "placed_at": 1736902260000, "shop": "a", "amount": 5.0}',NULL);
INSERT INTO "run" VALUES(49,1,'deliveries',X'801F726794010000',X'5100000000000000','{"order_id": "o0", "delivered_at": 1736902320000, "shop": "e", "delay_min": 22.0}',NULL);
INSERT INTO "run" VALUES(50,1,'orders',X'B094726794010000',X'4C00000000000000','{"order_id": "o35", "placed_at": 1736902350000, "shop": "a", "amount": 37.0}',NULL);
INSERT INTO "run" VALUES(51,1,'deliveries',X'E009736794010000',X'5100000000000000','{"order_id": "o6", "delivered_at": 1736902380000, "shop": "c", "delay_min": 14.0}',NULL);
INSERT INTO "run" VALUES(52,1,'orders',X'40F4736794010000',X'4C00000000000000','{"order_id": "o36", "placed_at": 1736902440000, "shop": "b", "amount": 22.0}',NULL);
INSERT INTO "run" VALUES(53,1,'deliveries',X'D053756794010000',X'5100000000000000','{"order_id": "o15", "delivered_at": 1736902530000, "shop": "e", "delay_min": 3.0}',NULL);
INSERT INTO "run" VALUES(54,4,'orders',X'D05375679401000060B3766794010000F0127867940100008072796794010000',X'4C000000000000004C000000000000004C000000000000004C00000000000000','{"order_id": "o37", "placed_at": 1736902530000, "shop": "a", "amount": 71.0}{"order_id": "o38", "placed_at": 1736902620000, "shop": "b", "amount": 51.0}{"order_id": "o39", "placed_at": 1736902710000, "shop": "e", "amount": 52.0}{"order_id": "o40", "placed_at": 1736902800000, "shop": "c", "amount": 74.0}',NULL);
INSERT INTO "run" VALUES(58,1,'deliveries',X'B0E7796794010000',X'5100000000000000','{"order_id": "o9", "delivered_at": 1736902830000, "shop": "c", "delay_min": 17.0}',NULL);
INSERT INTO "run" VALUES(59,2,'orders',X'10D27A6794010000A0317C6794010000',X'4C000000000000004C00000000000000','{"order_id": "o41", "placed_at": 1736902890000, "shop": "d", "amount": 95.0}{"order_id": "o42", "placed_at": 1736902980000, "shop": "a", "amount": 78.0}',NULL);
INSERT INTO "run" VALUES(61,1,'deliveries',X'D0A67C6794010000',X'5100000000000000','{"order_id": "o19", "delivered_at": 1736903010000, "shop": "c", "delay_min": 5.0}',NULL);
INSERT INTO "run" VALUES(62,1,'orders',X'30917D6794010000',X'4C00000000000000','{"order_id": "o43", "placed_at": 1736903070000, "shop": "c", "amount": 66.0}',NULL);
INSERT INTO "run" VALUES(63,1,'deliveries',X'60067E6794010000',X'5200000000000000','{"order_id": "o16", "delivered_at": 1736903100000, "shop": "c", "delay_min": 11.0}',NULL);
INSERT INTO "run" VALUES(64,2,'orders',X'C0F07E67940100005050806794010000',X'4C000000000000004C00000000000000','{"order_id": "o44", "placed_at": 1736903160000, "shop": "d", "amount": 16.0}{"order_id": "o45", "placed_at": 1736903250000, "shop": "e", "amount": 59.0}',NULL);
INSERT INTO "run" VALUES(66,1,'deliveries',X'80C5806794010000',X'5200000000000000','{"order_id": "o14", "delivered_at": 1736903280000, "shop": "a", "delay_min": 17.0}',NULL);
INSERT INTO "run" VALUES(67,1,'orders',X'E0AF816794010000',X'4C00000000000000','{"order_id": "o46", "placed_at": 1736903340000, "shop": "c", "amount": 91.0}',NULL);
INSERT INTO "run" VALUES(68,1,'deliveries',X'409A826794010000',X'5200000000000000','{"order_id": "o18", "delivered_at": 1736903400000, "shop": "e", "delay_min": 13.0}',NULL);
INSERT INTO "run" VALUES(69,2,'orders',X'700F836794010000006F846794010000',X'4C000000000000004C00000000000000','{"order_id": "o47", "placed_at": 1736903430000, "shop": "a", "amount": 75.0}{"order_id": "o48", "placed_at": 1736903520000, "shop": "a", "amount": 41.0}',NULL);
INSERT INTO "run" VALUES(71,1,'deliveries',X'6059856794010000',X'5200000000000000','{"order_id": "o20", "delivered_at": 1736903580000, "shop": "e", "delay_min": 13.0}',NULL);
INSERT INTO "run" VALUES(72,2,'orders',X'90CE856794010000202E876794010000',X'4C000000000000004C00000000000000','{"order_id": "o49", "placed_at": 1736903610000, "shop": "a", "amount": 39.0}{"order_id": "o50", "placed_at": 1736903700000, "shop": "d", "amount": 79.0}',NULL);
INSERT INTO "run" VALUES(74,2,'deliveries',X'50A3876794010000B08D886794010000',X'52000000000000005100000000000000','{"order_id": "o11", "delivered_at": 1736903730000, "shop": "a", "delay_min": 29.0}{"order_id": "o29", "delivered_at": 1736903790000, "shop": "e", "delay_min": 3.0}',NULL);
INSERT INTO "run" VALUES(76,2,'orders',X'B08D88679401000040ED896794010000',X'4C000000000000004C00000000000000','{"order_id": "o51", "placed_at": 1736903790000, "shop": "b", "amount": 94.0}{"order_id": "o52", "placed_at": 1736903880000, "shop": "e", "amount": 63.0}',NULL);
INSERT INTO "run" VALUES(78,1,'deliveries',X'A0D78A6794010000',X'5200000000000000','{"order_id": "o10", "delivered_at": 1736903940000, "shop": "d", "delay_min": 34.0}',NULL);
INSERT INTO "run" VALUES(79,2,'orders',X'D04C8B679401000060AC8C6794010000',X'4B000000000000004C00000000000000','{"order_id": "o53", "placed_at": 1736903970000, "shop": "d", "amount": 6.0}{"order_id": "o54", "placed_at": 1736904060000, "shop": "b", "amount": 26.0}',NULL);
INSERT INTO "run" VALUES(81,2,'deliveries',X'90218D6794010000C0968D6794010000',X'52000000000000005100000000000000','{"order_id": "o17", "delivered_at": 1736904090000, "shop": "d", "delay_min": 26.0}{"order_id": "o34", "delivered_at": 1736904120000, "shop": "a", "delay_min": 1.0}',NULL);
INSERT INTO "run" VALUES(83,1,'orders',X'F00B8E6794010000',X'4C00000000000000','{"order_id": "o55", "placed_at": 1736904150000, "shop": "e", "amount": 84.0}',NULL);
INSERT INTO "run" VALUES(84,2,'deliveries',X'806B8F6794010000806B8F6794010000',X'52000000000000005100000000000000','{"order_id": "o28", "delivered_at": 1736904240000, "shop": "d", "delay_min": 12.0}{"order_id": "o32", "delivered_at": 1736904240000, "shop": "e", "delay_min": 6.0}',NULL);
INSERT INTO "run" VALUES(86,1,'orders',X'806B8F6794010000',X'4C00000000000000','{"order_id": "o56", "placed_at": 1736904240000, "shop": "b", "amount": 73.0}',NULL);
INSERT INTO "run" VALUES(87,1,'deliveries',X'10CB906794010000',X'5200000000000000','{"order_id": "o23", "delivered_at": 1736904330000, "shop": "a", "delay_min": 21.0}',NULL);
INSERT INTO "run" VALUES(88,2,'orders',X'10CB906794010000A02A926794010000',X'4C000000000000004C00000000000000','{"order_id": "o57", "placed_at": 1736904330000, "shop": "a", "amount": 69.0}{"order_id": "o58", "placed_at": 1736904420000, "shop": "c", "amount": 34.0}',NULL);
INSERT INTO "run" VALUES(90,2,'deliveries',X'D09F926794010000D09F926794010000',X'52000000000000005200000000000000','{"order_id": "o21", "delivered_at": 1736904450000, "shop": "b", "delay_min": 26.0}{"order_id": "o25", "delivered_at": 1736904450000, "shop": "c", "delay_min": 20.0}',NULL);
INSERT INTO "run" VALUES(92,2,'orders',X'308A936794010000C0E9946794010000',X'4C000000000000004C00000000000000','{"order_id": "o59", "placed_at": 1736904510000, "shop": "d", "amount": 60.0}{"order_id": "o60", "placed_at": 1736904600000, "shop": "a", "amount": 35.0}',NULL);
INSERT INTO "run" VALUES(94,1,'deliveries',X'5049966794010000',X'5200000000000000','{"order_id": "o33", "delivered_at": 1736904690000, "shop": "e", "delay_min": 12.0}',NULL);
INSERT INTO "run" VALUES(95,1,'orders',X'5049966794010000',X'4C00000000000000','{"order_id": "o61", "placed_at": 1736904690000, "shop": "c", "amount": 40.0}',NULL);
INSERT INTO "run" VALUES(96,1,'deliveries',X'E0A8976794010000',X'5200000000000000','{"order_id": "o26", "delivered_at": 1736904780000, "shop": "e", "delay_min": 24.0}',NULL);
INSERT INTO "run" VALUES(97,2,'orders',X'E0A89767940100007008996794010000',X'4C000000000000004C00000000000000','{"order_id": "o62", "placed_at": 1736904780000, "shop": "c", "amount": 62.0}{"order_id": "o63", "placed_at": 1736904870000, "shop": "c", "amount": 58.0}',NULL);
INSERT INTO "run" VALUES(99,1,'deliveries',X'00689A6794010000',X'5100000000000000','{"order_id": "o40", "delivered_at": 1736904960000, "shop": "c", "delay_min": 6.0}',NULL);
INSERT INTO "run" VALUES(100,2,'orders',X'00689A679401000090C79B6794010000',X'4C000000000000004B00000000000000','{"order_id": "o64", "placed_at": 1736904960000, "shop": "c", "amount": 94.0}{"order_id": "o65", "placed_at": 1736905050000, "shop": "a", "amount": 9.0}',NULL);
INSERT INTO "run" VALUES(102,1,'deliveries',X'20279D6794010000',X'5200000000000000','{"order_id": "o30", "delivered_at": 1736905140000, "shop": "a", "delay_min": 24.0}',NULL);
INSERT INTO "run" VALUES(103,1,'orders',X'20279D6794010000',X'4C00000000000000','{"order_id": "o66", "placed_at": 1736905140000, "shop": "e", "amount": 92.0}',NULL);
INSERT INTO "run" VALUES(104,2,'deliveries',X'509C9D679401000080119E6794010000',X'52000000000000005200000000000000','{"order_id": "o39", "delivered_at": 1736905170000, "shop": "e", "delay_min": 11.0}{"order_id": "o24", "delivered_at": 1736905200000, "shop": "b", "delay_min": 34.0}',NULL);
INSERT INTO "run" VALUES(106,1,'orders',X'B0869E6794010000',X'4C00000000000000','{"order_id": "o67", "placed_at": 1736905230000, "shop": "d", "amount": 44.0}',NULL);
INSERT INTO "run" VALUES(107,2,'deliveries',X'E0FB9E679401000010719F6794010000',X'52000000000000005200000000000000','{"order_id": "o22", "delivered_at": 1736905260000, "shop": "d", "delay_min": 38.0}{"order_id": "o41", "delivered_at": 1736905290000, "shop": "d", "delay_min": 10.0}',NULL);
INSERT INTO "run" VALUES(109,2,'orders',X'40E69F6794010000D045A16794010000',X'4C000000000000004C00000000000000','{"order_id": "o68", "placed_at": 1736905320000, "shop": "c", "amount": 51.0}{"order_id": "o69", "placed_at": 1736905410000, "shop": "a", "amount": 60.0}',NULL);
INSERT INTO "run" VALUES(111,2,'deliveries',X'3030A2679401000060A5A26794010000',X'51000000000000005100000000000000','{"order_id": "o45", "delivered_at": 1736905470000, "shop": "e", "delay_min": 7.0}{"order_id": "o44", "delivered_at": 1736905500000, "shop": "d", "delay_min": 9.0}',NULL);
INSERT INTO "run" VALUES(113,1,'orders',X'60A5A26794010000',X'4C00000000000000','{"order_id": "o70", "placed_at": 1736905500000, "shop": "d", "amount": 41.0}',NULL);
INSERT INTO "run" VALUES(114,3,'deliveries',X'901AA36794010000F004A46794010000F004A46794010000',X'520000000000000052000000000000005100000000000000','{"order_id": "o31", "delivered_at": 1736905530000, "shop": "c", "delay_min": 29.0}{"order_id": "o37", "delivered_at": 1736905590000, "shop": "a", "delay_min": 21.0}{"order_id": "o47", "delivered_at": 1736905590000, "shop": "a", "delay_min": 6.0}',NULL);
INSERT INTO "run" VALUES(117,2,'orders',X'F004A467940100008064A56794010000',X'4C000000000000004C00000000000000','{"order_id": "o71", "placed_at": 1736905590000, "shop": "e", "amount": 29.0}{"order_id": "o72", "placed_at": 1736905680000, "shop": "e", "amount": 84.0}',NULL);
INSERT INTO "run" VALUES(119,2,'deliveries',X'E04EA6679401000010C4A66794010000',X'52000000000000005200000000000000','{"order_id": "o36", "delivered_at": 1736905740000, "shop": "b", "delay_min": 25.0}{"order_id": "o27", "delivered_at": 1736905770000, "shop": "a", "delay_min": 39.0}',NULL);
INSERT INTO "run" VALUES(121,1,'orders',X'10C4A66794010000',X'4C00000000000000','{"order_id": "o73", "placed_at": 1736905770000, "shop": "e", "amount": 51.0}',NULL);
INSERT INTO "run" VALUES(122,1,'deliveries',X'A023A86794010000',X'5200000000000000','{"order_id": "o38", "delivered_at": 1736905860000, "shop": "b", "delay_min": 24.0}',NULL);
INSERT INTO "run" VALUES(123,3,'orders',X'A023A867940100003083A967940100003083A96794010000',X'4C000000000000004C000000000000000100000000000000','{"order_id": "o74", "placed_at": 1736905860000, "shop": "a", "amount": 89.0}{"order_id": "o75", "placed_at": 1736905950000, "shop": "d", "amount": 25.0}{',NULL);
CREATE TABLE source (
	stream VARCHAR NOT NULL, 
	checkpoint TEXT NOT NULL, 
	events INTEGER NOT NULL, 
	last_ms INTEGER, 
	PRIMARY KEY (stream)
);
CREATE TABLE source_news (
	stream VARCHAR NOT NULL, 
	events_per_s FLOAT, 
	lag INTEGER, 
	error TEXT, 
	told_ms INTEGER NOT NULL, 
	PRIMARY KEY (stream)
);
CREATE TABLE source_part (
	stream VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	PRIMARY KEY (stream, name)
);
CREATE TABLE tail (
	id INTEGER NOT NULL, 
	log_offset INTEGER NOT NULL, 
	known_at_ms INTEGER NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "tail" VALUES(0,125,1736905950000);
COMMIT;