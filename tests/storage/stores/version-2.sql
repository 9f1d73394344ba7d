PRAGMA user_version = 2;
BEGIN TRANSACTION;
CREATE TABLE assessments (
    assessment_id TEXT PRIMARY KEY NOT NULL,
    trace_id TEXT NOT NULL,
    project TEXT NOT NULL,
    model TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    source_type TEXT NOT NULL,
    source_id TEXT NOT NULL,
    span_id TEXT,
    create_time BIGINT NOT NULL,
    last_update_time BIGINT NOT NULL,
    overrides TEXT,
    valid INTEGER NOT NULL,
    retracted BIGINT,
    metadata TEXT NOT NULL,
    rationale TEXT
);
INSERT INTO "assessments" VALUES('a-b73c1292502f9da45f2d40b61256fb88','tr-01a21ddf3f9fb0e2854ea243abc711c3','default','default','feedback','user_feedback','false','HUMAN','ann',NULL,1795797507947,1795797507950,NULL,0,NULL,'{"reasons":"[\"wrong\"]"}','Not quite.');
INSERT INTO "assessments" VALUES('a-b50bb09d80b95b415088f96a42585411','tr-01a21ddf3f9fb0e2854ea243abc711c3','default','default','feedback','user_feedback','true','HUMAN','ann',NULL,1795797507950,1795797507950,'a-b73c1292502f9da45f2d40b61256fb88',1,NULL,'{}','On second thoughts …');
INSERT INTO "assessments" VALUES('a-689dc387dcf40ce56768e9b178d85619','tr-01a21ddf4fed9f08ec3cc5c6fd0b03a6','default','default','feedback','user_accuracy','0.8','HUMAN','bob',NULL,1795797507965,1795797507968,NULL,0,1795797507968,'{"score":"4","scale":"1-5"}',NULL);
INSERT INTO "assessments" VALUES('a-04f3eb18bfebf3eea8c30b5e8eec1ff0','tr-01a21ddf4fed9f08ec3cc5c6fd0b03a6','default','default','feedback','user_helpfulness','1.0','HUMAN','bob',NULL,1795797507965,1795797507965,NULL,1,NULL,'{"score":"5","scale":"1-5"}',NULL);
CREATE TABLE checkpoints (
    trace_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    time BIGINT NOT NULL,
    parts TEXT NOT NULL,
    PRIMARY KEY (trace_id, seq)
) WITHOUT ROWID;
INSERT INTO "checkpoints" VALUES('tr-01a21ddf60bde22ac22cad14feda56b1',0,1795797508536,'[["text","lorem ipsum dolor sit"]]');
INSERT INTO "checkpoints" VALUES('tr-01a21ddf60bde22ac22cad14feda56b1',1,1795797509537,'[["text"," amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore et dolore magna aliqua lorem ipsum dolor sit amet"]]');
INSERT INTO "checkpoints" VALUES('tr-01a21ddf60bde22ac22cad14feda56b1',2,1795797510538,'[["text"," consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore et dolore magna aliqua lorem ipsum dolor sit amet consectetur"]]');
CREATE TABLE idempotency (
    project TEXT NOT NULL,
    source_id TEXT NOT NULL,
    key TEXT NOT NULL,
    body_hash TEXT NOT NULL,
    receipt TEXT NOT NULL,
    created BIGINT NOT NULL,
    PRIMARY KEY (project, source_id, key)
) WITHOUT ROWID;
INSERT INTO "idempotency" VALUES('default','ann','k-1','50cb906a135e93809f7ec97d38a97da8f5b0578a1b8350457ab362519eb6c908','{"trace_id":"tr-01a21ddf3f9fb0e2854ea243abc711c3","assessments":[{"assessment_id":"a-b73c1292502f9da45f2d40b61256fb88","trace_id":"tr-01a21ddf3f9fb0e2854ea243abc711c3","project":"default","name":"user_feedback","value":false,"source_id":"ann","source_type":"HUMAN","kind":"feedback","rationale":"Not quite.","metadata":{"reasons":"[\"wrong\"]"},"span_id":null,"create_time":1795797507947,"last_update_time":1795797507947,"overrides":null,"valid":true}],"replayed":false}',1795797507947);
CREATE TABLE keys (
    key_id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    project TEXT NOT NULL,
    key_hash TEXT NOT NULL,
    hint TEXT NOT NULL,
    created BIGINT NOT NULL,
    revoked BIGINT,
    last_used BIGINT
, publishable INTEGER NOT NULL DEFAULT 0, origins TEXT NOT NULL DEFAULT '[]', requests_per_minute BIGINT NOT NULL DEFAULT 0, expires BIGINT);
INSERT INTO "keys" VALUES('key-4303c5d925305a09','app','chat','default','b37187e55b42a6e3ac515d6eed35a8821362aeda57fb2a726cd7e7a324fa5bc6','gw-sk-V0rX',1795797508082,NULL,NULL,0,'[]',0,NULL);
INSERT INTO "keys" VALUES('key-54d244797fcd8b22','page','chat','default','e8fb2ff1a4f07c71c6e427640333171b63790c7a61423940d683552929bf11b8','gw-pk-9b-K',1795797508232,NULL,NULL,1,'["https://app.example.com"]',600,NULL);
CREATE TABLE meta (
    name TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO "meta" VALUES('ping','1795797499802');
INSERT INTO "meta" VALUES('signing_key','a signing key of a test');
CREATE TABLE sessions (
    project TEXT NOT NULL,
    session_id TEXT NOT NULL,
    user_id TEXT,
    created BIGINT NOT NULL,
    PRIMARY KEY (project, session_id)
) WITHOUT ROWID;
INSERT INTO "sessions" VALUES('default','s-01a21ddf60bd35221ac9cecbd8b2fd2e','ann',1795797508285);
INSERT INTO "sessions" VALUES('default','s-1','ann',1795797499807);
CREATE TABLE spans (
    trace_id TEXT NOT NULL,
    span_id TEXT NOT NULL,
    parent_id TEXT,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    start_ms BIGINT NOT NULL,
    end_ms BIGINT NOT NULL,
    status TEXT NOT NULL,
    message TEXT,
    attributes TEXT NOT NULL,
    PRIMARY KEY (trace_id, span_id)
) WITHOUT ROWID;
INSERT INTO "spans" VALUES('tr-01a21ddf3f9fb0e2854ea243abc711c3','809ae41f9ca36b4a',NULL,'chat default','SERVER',1795797499807,1795797503977,'OK',NULL,'{"gen_ai.operation.name":"chat","gen_ai.request.model":"default","gen_ai.conversation.id":"s-1","gateway.route":"/chat","gateway.outcome":"complete","gateway.config_hash":"ce2460ca0e0d","gen_ai.response.model":"echo","gen_ai.response.finish_reasons":["stop"],"gen_ai.usage.input_tokens":4,"gen_ai.usage.output_tokens":100,"gen_ai.server.time_to_first_token":0.042}');
INSERT INTO "spans" VALUES('tr-01a21ddf3f9fb0e2854ea243abc711c3','bb1b2eed27fc943d','809ae41f9ca36b4a','chat demo/echo','CLIENT',1795797499808,1795797503977,'OK',NULL,'{"gen_ai.operation.name":"chat","gen_ai.provider.name":"demo","gen_ai.request.model":"echo","http.response.status_code":200,"gen_ai.server.time_to_first_token":0.041}');
INSERT INTO "spans" VALUES('tr-01a21ddf4fed9f08ec3cc5c6fd0b03a6','a0adf72649863267','dd78af22281c7196','chat demo/echo','CLIENT',1795797503981,1795797507942,'OK',NULL,'{"gen_ai.operation.name":"chat","gen_ai.provider.name":"demo","gen_ai.request.model":"echo","http.response.status_code":200,"gen_ai.server.time_to_first_token":0.042}');
INSERT INTO "spans" VALUES('tr-01a21ddf4fed9f08ec3cc5c6fd0b03a6','dd78af22281c7196',NULL,'chat default','SERVER',1795797503981,1795797507942,'OK',NULL,'{"gen_ai.operation.name":"chat","gen_ai.request.model":"default","gen_ai.conversation.id":"s-1","gateway.route":"/chat","gateway.outcome":"complete","gateway.config_hash":"ce2460ca0e0d","gen_ai.response.model":"echo","gen_ai.response.finish_reasons":["stop"],"gen_ai.usage.input_tokens":6,"gen_ai.usage.output_tokens":98,"gen_ai.server.time_to_first_token":0.042}');
CREATE TABLE traces (
    trace_id TEXT PRIMARY KEY NOT NULL,
    root_span_id TEXT NOT NULL,
    project TEXT NOT NULL,
    route TEXT NOT NULL,
    state TEXT NOT NULL,
    outcome TEXT,
    request_time BIGINT NOT NULL,
    end_time BIGINT,
    duration_ms BIGINT,
    first_token_ms BIGINT,
    model TEXT NOT NULL,
    answered_model TEXT,
    provider TEXT,
    session_id TEXT NOT NULL,
    user_id TEXT,
    client_request_id TEXT,
    finish_reason TEXT,
    error_code TEXT,
    error_message TEXT,
    prompt_tokens BIGINT,
    completion_tokens BIGINT,
    total_tokens BIGINT,
    usage_estimated INTEGER NOT NULL DEFAULT 0,
    traceparent TEXT,
    key_id TEXT,
    config_hash TEXT NOT NULL,
    tags TEXT NOT NULL,
    metadata TEXT NOT NULL,
    request_preview TEXT,
    response_preview TEXT,
    request TEXT,
    response TEXT,
    parts TEXT
);
INSERT INTO "traces" VALUES('tr-01a21ddf3f9fb0e2854ea243abc711c3','809ae41f9ca36b4a','default','/chat','OK','complete',1795797499807,1795797503977,4170,42,'default','echo','demo','s-1','ann','c-1','stop',NULL,NULL,4,100,104,0,NULL,NULL,'ce2460ca0e0d','{"team":"blue"}','{"page":"home"}','Hello! What is this?','You said: “Hello! What is this?”

This is the gateway''s built-in demo model: there is no AI behind it, but everything around it is real. The answer streams word by word, and it has a **trace**, whose ID is in the `X-Trace-Id` header and in the `start` and `done` events. With that ID anybody who read the answer can rate it:

```sh
curl ''http://127.0.0.1:8000/feedback?trace_id=TRACE_ID'' \
  -H ''Content-Type: application/json'' \
  -d ''{"is_correct": true, "comment": "just right"}''
```

To watch chats and ratings as they come in, run `gateway tail --follow`. For real answers, set `OPENAI_API_KEY` or name a provider in `config.toml`.','[{"role":"user","content":"Hello! What is this?"}]','[{"role":"assistant","content":"You said: “Hello! What is this?”\n\nThis is the gateway''s built-in demo model: there is no AI behind it, but everything around it is real. The answer streams word by word, and it has a **trace**, whose ID is in the `X-Trace-Id` header and in the `start` and `done` events. With that ID anybody who read the answer can rate it:\n\n```sh\ncurl ''http://127.0.0.1:8000/feedback?trace_id=TRACE_ID'' \\\n  -H ''Content-Type: application/json'' \\\n  -d ''{\"is_correct\": true, \"comment\": \"just right\"}''\n```\n\nTo watch chats and ratings as they come in, run `gateway tail --follow`. For real answers, set `OPENAI_API_KEY` or name a provider in `config.toml`."}]',NULL);
INSERT INTO "traces" VALUES('tr-01a21ddf4fed9f08ec3cc5c6fd0b03a6','dd78af22281c7196','default','/chat','OK','complete',1795797503981,1795797507942,3961,42,'default','echo','demo','s-1','ann',NULL,'stop',NULL,NULL,6,98,104,0,NULL,NULL,'ce2460ca0e0d','{}','{}','And again?','You said: “And again?”

This is the gateway''s built-in demo model: there is no AI behind it, but everything around it is real. The answer streams word by word, and it has a **trace**, whose ID is in the `X-Trace-Id` header and in the `start` and `done` events. With that ID anybody who read the answer can rate it:

```sh
curl ''http://127.0.0.1:8000/feedback?trace_id=TRACE_ID'' \
  -H ''Content-Type: application/json'' \
  -d ''{"is_correct": true, "comment": "just right"}''
```

To watch chats and ratings as they come in, run `gateway tail --follow`. For real answers, set `OPENAI_API_KEY` or name a provider in `config.toml`.','[{"role":"user","content":"Hello! What is this?"},{"role":"assistant","content":"You said: “Hello! What is this?”\n\nThis is the gateway''s built-in demo model: there is no AI behind it, but everything around it is real. The answer streams word by word, and it has a **trace**, whose ID is in the `X-Trace-Id` header and in the `start` and `done` events. With that ID anybody who read the answer can rate it:\n\n```sh\ncurl ''http://127.0.0.1:8000/feedback?trace_id=TRACE_ID'' \\\n  -H ''Content-Type: application/json'' \\\n  -d ''{\"is_correct\": true, \"comment\": \"just right\"}''\n```\n\nTo watch chats and ratings as they come in, run `gateway tail --follow`. For real answers, set `OPENAI_API_KEY` or name a provider in `config.toml`."},{"role":"user","content":"And again?"}]','[{"role":"assistant","content":"You said: “And again?”\n\nThis is the gateway''s built-in demo model: there is no AI behind it, but everything around it is real. The answer streams word by word, and it has a **trace**, whose ID is in the `X-Trace-Id` header and in the `start` and `done` events. With that ID anybody who read the answer can rate it:\n\n```sh\ncurl ''http://127.0.0.1:8000/feedback?trace_id=TRACE_ID'' \\\n  -H ''Content-Type: application/json'' \\\n  -d ''{\"is_correct\": true, \"comment\": \"just right\"}''\n```\n\nTo watch chats and ratings as they come in, run `gateway tail --follow`. For real answers, set `OPENAI_API_KEY` or name a provider in `config.toml`."}]',NULL);
INSERT INTO "traces" VALUES('tr-01a21ddf60bde22ac22cad14feda56b1','14b6901d56e6e997','default','/chat/stream','IN_PROGRESS',NULL,1795797508285,NULL,NULL,NULL,'demo/lorem-400-50ms',NULL,NULL,'s-01a21ddf60bd35221ac9cecbd8b2fd2e','ann',NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,'ce2460ca0e0d','{}','{}','long',NULL,'[{"role":"user","content":"long"}]',NULL,NULL);
CREATE INDEX traces_of_session ON traces (project, session_id, request_time);
CREATE INDEX traces_of_client_request ON traces (project, client_request_id, request_time)
    WHERE client_request_id IS NOT NULL;
CREATE INDEX traces_ended ON traces (end_time) WHERE end_time IS NOT NULL;
CREATE INDEX traces_running ON traces (request_time) WHERE end_time IS NULL;
CREATE INDEX assessments_of_trace ON assessments (trace_id, source_id, name);
CREATE INDEX assessments_created ON assessments (create_time);
CREATE INDEX assessments_retracted ON assessments (retracted) WHERE retracted IS NOT NULL;
CREATE INDEX idempotency_created ON idempotency (created);
CREATE UNIQUE INDEX keys_active_name ON keys (name) WHERE revoked IS NULL;
COMMIT;
