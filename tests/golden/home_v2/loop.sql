PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE alert_channels (
	message INTEGER NOT NULL, 
	channel VARCHAR NOT NULL, 
	wall_ms BIGINT NOT NULL, 
	PRIMARY KEY (message, channel), 
	FOREIGN KEY(message) REFERENCES alert_messages (number)
);
CREATE TABLE alert_messages (
	number INTEGER NOT NULL, 
	model VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	severity VARCHAR NOT NULL, 
	about VARCHAR NOT NULL, 
	at_ms BIGINT NOT NULL, 
	wall_ms BIGINT NOT NULL, 
	awaits_end INTEGER NOT NULL, 
	ends INTEGER, 
	attempts INTEGER NOT NULL, 
	next_attempt_wall_ms BIGINT NOT NULL, 
	delivered_wall_ms BIGINT, 
	last_error TEXT NOT NULL, 
	PRIMARY KEY (number), 
	UNIQUE (ends), 
	FOREIGN KEY(ends) REFERENCES alert_messages (number)
);
CREATE TABLE alert_silences (
	number INTEGER NOT NULL, 
	model VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	"by" VARCHAR NOT NULL, 
	reason TEXT NOT NULL, 
	from_wall_ms BIGINT NOT NULL, 
	until_wall_ms BIGINT NOT NULL, 
	ended_by VARCHAR, 
	ended_wall_ms BIGINT, 
	PRIMARY KEY (number)
);
CREATE TABLE alerts (
	"key" VARCHAR NOT NULL, 
	model VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	severity VARCHAR NOT NULL, 
	title TEXT NOT NULL, 
	body TEXT NOT NULL, 
	link TEXT NOT NULL, 
	at_ms BIGINT NOT NULL, 
	"explain" VARCHAR NOT NULL, 
	explaining_wall_ms BIGINT, 
	since_ms BIGINT, 
	harm TEXT NOT NULL, 
	condition VARCHAR NOT NULL, 
	ended_at_ms BIGINT, 
	ended_why TEXT NOT NULL, 
	acked_by VARCHAR NOT NULL, 
	acked_wall_ms BIGINT, 
	noticed_at_ms BIGINT, 
	noticed_wall_ms BIGINT, 
	held_until_ms BIGINT, 
	silence INTEGER, 
	covered_by VARCHAR, 
	message INTEGER, 
	PRIMARY KEY ("key"), 
	FOREIGN KEY(silence) REFERENCES alert_silences (number), 
	FOREIGN KEY(message) REFERENCES alert_messages (number)
);
CREATE TABLE api_keys (
	prefix VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	hash TEXT NOT NULL, 
	scopes VARCHAR NOT NULL, 
	project VARCHAR NOT NULL, 
	made_by VARCHAR NOT NULL, 
	made_wall_ms BIGINT NOT NULL, 
	until_wall_ms BIGINT, 
	revoked_by VARCHAR NOT NULL, 
	revoked_wall_ms BIGINT, 
	PRIMARY KEY (prefix)
);
CREATE TABLE decisions (
	id VARCHAR NOT NULL, 
	model VARCHAR NOT NULL, 
	"trigger" VARCHAR NOT NULL, 
	alarm_key VARCHAR NOT NULL, 
	reason TEXT NOT NULL, 
	evidence JSON NOT NULL, 
	state VARCHAR NOT NULL, 
	outcome VARCHAR, 
	outcome_reason TEXT NOT NULL, 
	from_version VARCHAR, 
	to_version VARCHAR, 
	metric_name VARCHAR, 
	metric_champion FLOAT, 
	metric_challenger FLOAT, 
	requested_at_ms BIGINT NOT NULL, 
	requested_wall_ms BIGINT NOT NULL, 
	claimed_wall_ms BIGINT, 
	finished_at_ms BIGINT, 
	finished_wall_ms BIGINT, 
	flow_run_id VARCHAR, 
	fits INTEGER NOT NULL, 
	act VARCHAR NOT NULL, 
	decided_by VARCHAR NOT NULL, 
	findings JSON NOT NULL, 
	stages JSON NOT NULL, 
	claim_order INTEGER, 
	alive_wall_ms BIGINT, 
	releases INTEGER NOT NULL, 
	put_backs INTEGER NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (model, alarm_key)
);
CREATE TABLE freezes (
	number INTEGER NOT NULL, 
	model VARCHAR NOT NULL, 
	"by" VARCHAR NOT NULL, 
	reason TEXT NOT NULL, 
	wall_ms BIGINT NOT NULL, 
	ended_by VARCHAR, 
	ended_wall_ms BIGINT, 
	PRIMARY KEY (number)
);
INSERT INTO "freezes" VALUES(1,'late_order','ann','a holiday',1,NULL,NULL);
CREATE TABLE monitor_states (
	name VARCHAR NOT NULL, 
	cursor BIGINT NOT NULL, 
	state JSON NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE operator_acts (
	number INTEGER NOT NULL, 
	"by" VARCHAR NOT NULL, 
	via VARCHAR NOT NULL, 
	act VARCHAR NOT NULL, 
	about TEXT NOT NULL, 
	detail TEXT NOT NULL, 
	wall_ms BIGINT NOT NULL, 
	status INTEGER NOT NULL, 
	PRIMARY KEY (number)
);
CREATE TABLE outbox (
	decision_id VARCHAR NOT NULL, 
	emitted_wall_ms BIGINT, 
	emits INTEGER NOT NULL, 
	PRIMARY KEY (decision_id), 
	FOREIGN KEY(decision_id) REFERENCES decisions (id)
);
CREATE TABLE publication_outbox (
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	kind VARCHAR NOT NULL, 
	id VARCHAR NOT NULL, 
	model VARCHAR NOT NULL, 
	body TEXT NOT NULL
);
CREATE TABLE publications (
	kind VARCHAR NOT NULL, 
	cursor BIGINT NOT NULL, 
	sent BIGINT NOT NULL, 
	refused BIGINT NOT NULL, 
	last_error TEXT NOT NULL, 
	last_sent_wall_ms BIGINT, 
	holder VARCHAR NOT NULL, 
	held_until_wall_ms BIGINT NOT NULL, 
	PRIMARY KEY (kind)
);
CREATE TABLE reaction_cursor (
	id INTEGER NOT NULL, 
	token TEXT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE reaction_outbox (
	id VARCHAR NOT NULL, 
	reaction VARCHAR NOT NULL, 
	event_id VARCHAR NOT NULL, 
	once_key TEXT NOT NULL, 
	at_ms BIGINT NOT NULL, 
	until_ms BIGINT NOT NULL, 
	body TEXT NOT NULL, 
	attempts INTEGER NOT NULL, 
	next_attempt_wall_ms BIGINT NOT NULL, 
	ended_wall_ms BIGINT, 
	PRIMARY KEY (id), 
	UNIQUE (reaction, event_id, at_ms)
);
CREATE TABLE reactions (
	name VARCHAR NOT NULL, 
	since TEXT NOT NULL, 
	matches INTEGER NOT NULL, 
	sent INTEGER NOT NULL, 
	given_up INTEGER NOT NULL, 
	failures INTEGER NOT NULL, 
	next_attempt_wall_ms BIGINT NOT NULL, 
	last_error TEXT NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE sessions (
	digest VARCHAR NOT NULL, 
	prefix VARCHAR NOT NULL, 
	until_wall_ms BIGINT NOT NULL, 
	PRIMARY KEY (digest), 
	FOREIGN KEY(prefix) REFERENCES api_keys (prefix)
);
CREATE INDEX decisions_by_state ON decisions (model, state);
CREATE UNIQUE INDEX one_standing_freeze ON freezes (model) WHERE ended_wall_ms IS NULL;
CREATE INDEX messages_due ON alert_messages (next_attempt_wall_ms) WHERE delivered_wall_ms IS NULL;
CREATE INDEX messages_to_end ON alert_messages (number) WHERE awaits_end = 1;
CREATE INDEX messages_by_kind ON alert_messages (model, kind, number);
CREATE INDEX reactions_due ON reaction_outbox (reaction, next_attempt_wall_ms) WHERE ended_wall_ms IS NULL;
CREATE INDEX reaction_by_key ON reaction_outbox (reaction, once_key, until_ms);
CREATE INDEX publications_due ON publication_outbox (kind, number);
CREATE UNIQUE INDEX one_standing_key ON api_keys (project, name) WHERE revoked_wall_ms IS NULL;
CREATE INDEX alerts_waiting ON alerts (at_ms) WHERE message IS NULL;
CREATE INDEX alerts_of_message ON alerts (message);
CREATE INDEX alerts_by_time ON alerts (at_ms);
CREATE INDEX alerts_open ON alerts (condition) WHERE ended_at_ms IS NULL;
CREATE INDEX alerts_to_check ON alerts (at_ms) WHERE "explain" != '' AND explaining_wall_ms IS NULL;
DELETE FROM "sqlite_sequence";
COMMIT;