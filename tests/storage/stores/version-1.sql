PRAGMA user_version = 1;
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
INSERT INTO "assessments" VALUES('a-4ef159b76f40095993c95d46b9bae064','tr-01a21ddf0b9aabd16959efaa6315740b','default','default','feedback','user_feedback','false','HUMAN','ann',NULL,1795797494794,1795797494809,NULL,0,NULL,'{"reasons":"[\"wrong\"]"}','Not quite.');
INSERT INTO "assessments" VALUES('a-2b31d72cb97615ba0b292da216f408e5','tr-01a21ddf0b9aabd16959efaa6315740b','default','default','feedback','user_feedback','true','HUMAN','ann',NULL,1795797494809,1795797494809,'a-4ef159b76f40095993c95d46b9bae064',1,NULL,'{}','On second thoughts …');
INSERT INTO "assessments" VALUES('a-c2c13efff101d9121845e933c4deb705','tr-01a21ddf1c3f2c4eb065f8977a5c4892','default','default','feedback','user_accuracy','0.8','HUMAN','bob',NULL,1795797494814,1795797494830,NULL,0,1795797494830,'{"score":"4","scale":"1-5"}',NULL);
INSERT INTO "assessments" VALUES('a-d20f32ade22725c0a501de7d7f13f3c7','tr-01a21ddf1c3f2c4eb065f8977a5c4892','default','default','feedback','user_helpfulness','1.0','HUMAN','bob',NULL,1795797494814,1795797494814,NULL,1,NULL,'{"score":"5","scale":"1-5"}',NULL);
CREATE TABLE checkpoints (
    trace_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    time BIGINT NOT NULL,
    parts TEXT NOT NULL,
    PRIMARY KEY (trace_id, seq)
) WITHOUT ROWID;
INSERT INTO "checkpoints" VALUES('tr-01a21ddf2f513b2e0ace64d781d8b671',0,1795797495709,'[["text","lorem"]]');
INSERT INTO "checkpoints" VALUES('tr-01a21ddf2f513b2e0ace64d781d8b671',1,1795797496713,'[["text"," ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore et dolore magna aliqua lorem ipsum"]]');
INSERT INTO "checkpoints" VALUES('tr-01a21ddf2f513b2e0ace64d781d8b671',2,1795797497722,'[["text"," dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore et dolore magna aliqua lorem ipsum dolor"]]');
CREATE TABLE idempotency (
    project TEXT NOT NULL,
    source_id TEXT NOT NULL,
    key TEXT NOT NULL,
    body_hash TEXT NOT NULL,
    receipt TEXT NOT NULL,
    created BIGINT NOT NULL,
    PRIMARY KEY (project, source_id, key)
) WITHOUT ROWID;
INSERT INTO "idempotency" VALUES('default','ann','k-1','e9c14d508af39a58ccf072348dd6ada3f6fb222df5d168fff74a7b2d8372be2c','{"trace_id":"tr-01a21ddf0b9aabd16959efaa6315740b","assessments":[{"assessment_id":"a-4ef159b76f40095993c95d46b9bae064","trace_id":"tr-01a21ddf0b9aabd16959efaa6315740b","project":"default","name":"user_feedback","value":false,"source_id":"ann","source_type":"HUMAN","kind":"feedback","rationale":"Not quite.","metadata":{"reasons":"[\"wrong\"]"},"span_id":null,"create_time":1795797494794,"last_update_time":1795797494794,"overrides":null,"valid":true}],"replayed":false}',1795797494794);
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
);
INSERT INTO "keys" VALUES('key-e5a8c5e2b119b54d','app','chat','default','fbd3faf2d9595633ea0b10d74a5c554e3133f2914c825895315445b4b6d51e95','gw-sk-8ipa',1795797495332,NULL,NULL);
CREATE TABLE meta (
    name TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO "meta" VALUES('ping','1795797486481');
CREATE TABLE sessions (
    project TEXT NOT NULL,
    session_id TEXT NOT NULL,
    user_id TEXT,
    created BIGINT NOT NULL,
    PRIMARY KEY (project, session_id)
) WITHOUT ROWID;
INSERT INTO "sessions" VALUES('default','s-1','ann',1795797486490);
INSERT INTO "sessions" VALUES('default','s-224ce1a9935813dc22d4e2627ff2e172','ann',1795797495633);
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
INSERT INTO "spans" VALUES('tr-01a21ddf0b9aabd16959efaa6315740b','116c09096e012618','90f9b91c286642c4','chat demo/echo','CLIENT',1795797486490,1795797490746,'OK',NULL,'{"gen_ai.operation.name":"chat","gen_ai.provider.name":"demo","gen_ai.request.model":"echo","http.response.status_code":200,"gen_ai.server.time_to_first_token":0.041}');
INSERT INTO "spans" VALUES('tr-01a21ddf0b9aabd16959efaa6315740b','90f9b91c286642c4',NULL,'chat default','SERVER',1795797486490,1795797490746,'OK',NULL,'{"gen_ai.operation.name":"chat","gen_ai.request.model":"default","gen_ai.conversation.id":"s-1","gateway.route":"/chat","gateway.outcome":"complete","gateway.config_hash":"cc0d2931db3a","gen_ai.response.model":"echo","gen_ai.response.finish_reasons":["stop"],"gen_ai.usage.input_tokens":4,"gen_ai.usage.output_tokens":100,"gen_ai.server.time_to_first_token":0.041}');
INSERT INTO "spans" VALUES('tr-01a21ddf1c3f2c4eb065f8977a5c4892','518fc0515882392c',NULL,'chat default','SERVER',1795797490751,1795797494757,'OK',NULL,'{"gen_ai.operation.name":"chat","gen_ai.request.model":"default","gen_ai.conversation.id":"s-1","gateway.route":"/chat","gateway.outcome":"complete","gateway.config_hash":"cc0d2931db3a","gen_ai.response.model":"echo","gen_ai.response.finish_reasons":["stop"],"gen_ai.usage.input_tokens":6,"gen_ai.usage.output_tokens":98,"gen_ai.server.time_to_first_token":0.041}');
INSERT INTO "spans" VALUES('tr-01a21ddf1c3f2c4eb065f8977a5c4892','8d6fcebbb6d005bd','518fc0515882392c','chat demo/echo','CLIENT',1795797490751,1795797494757,'OK',NULL,'{"gen_ai.operation.name":"chat","gen_ai.provider.name":"demo","gen_ai.request.model":"echo","http.response.status_code":200,"gen_ai.server.time_to_first_token":0.041}');
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
INSERT INTO "traces" VALUES('tr-01a21ddf0b9aabd16959efaa6315740b','90f9b91c286642c4','default','/chat','OK','complete',1795797486490,1795797490746,4256,41,'default','echo','demo','s-1','ann','c-1','stop',NULL,NULL,4,100,104,0,NULL,NULL,'cc0d2931db3a','{"team":"blue"}','{"page":"home"}','Hello! What is this?','You said: “Hello! What is this?”

This is the gateway''s built-in demo model: there is no AI behind it, but everything around it is real. The answer streams word by word, and it has a **trace**, whose ID is in the `X-Trace-Id` header and in the `start` and `done` events. With that ID anybody who read the answer can rate it:

```sh
curl ''http://127.0.0.1:8000/feedback?trace_id=TRACE_ID'' \
  -H ''Content-Type: application/json'' \
  -d ''{"is_correct": true, "comment": "just right"}''
```

To watch chats and ratings as they come in, run `gateway tail --follow`. For real answers, set `OPENAI_API_KEY` or name a provider in `config.toml`.','[{"role":"user","content":"Hello! What is this?"}]','[{"role":"assistant","content":"You said: “Hello! What is this?”\n\nThis is the gateway''s built-in demo model: there is no AI behind it, but everything around it is real. The answer streams word by word, and it has a **trace**, whose ID is in the `X-Trace-Id` header and in the `start` and `done` events. With that ID anybody who read the answer can rate it:\n\n```sh\ncurl ''http://127.0.0.1:8000/feedback?trace_id=TRACE_ID'' \\\n  -H ''Content-Type: application/json'' \\\n  -d ''{\"is_correct\": true, \"comment\": \"just right\"}''\n```\n\nTo watch chats and ratings as they come in, run `gateway tail --follow`. For real answers, set `OPENAI_API_KEY` or name a provider in `config.toml`."}]',NULL);
INSERT INTO "traces" VALUES('tr-01a21ddf1c3f2c4eb065f8977a5c4892','518fc0515882392c','default','/chat','OK','complete',1795797490751,1795797494757,4006,41,'default','echo','demo','s-1','ann',NULL,'stop',NULL,NULL,6,98,104,0,NULL,NULL,'cc0d2931db3a','{}','{}','And again?','You said: “And again?”

This is the gateway''s built-in demo model: there is no AI behind it, but everything around it is real. The answer streams word by word, and it has a **trace**, whose ID is in the `X-Trace-Id` header and in the `start` and `done` events. With that ID anybody who read the answer can rate it:

```sh
curl ''http://127.0.0.1:8000/feedback?trace_id=TRACE_ID'' \
  -H ''Content-Type: application/json'' \
  -d ''{"is_correct": true, "comment": "just right"}''
```

To watch chats and ratings as they come in, run `gateway tail --follow`. For real answers, set `OPENAI_API_KEY` or name a provider in `config.toml`.','[{"role":"user","content":"Hello! What is this?"},{"role":"assistant","content":"You said: “Hello! What is this?”\n\nThis is the gateway''s built-in demo model: there is no AI behind it, but everything around it is real. The answer streams word by word, and it has a **trace**, whose ID is in the `X-Trace-Id` header and in the `start` and `done` events. With that ID anybody who read the answer can rate it:\n\n```sh\ncurl ''http://127.0.0.1:8000/feedback?trace_id=TRACE_ID'' \\\n  -H ''Content-Type: application/json'' \\\n  -d ''{\"is_correct\": true, \"comment\": \"just right\"}''\n```\n\nTo watch chats and ratings as they come in, run `gateway tail --follow`. For real answers, set `OPENAI_API_KEY` or name a provider in `config.toml`."},{"role":"user","content":"And again?"}]','[{"role":"assistant","content":"You said: “And again?”\n\nThis is the gateway''s built-in demo model: there is no AI behind it, but everything around it is real. The answer streams word by word, and it has a **trace**, whose ID is in the `X-Trace-Id` header and in the `start` and `done` events. With that ID anybody who read the answer can rate it:\n\n```sh\ncurl ''http://127.0.0.1:8000/feedback?trace_id=TRACE_ID'' \\\n  -H ''Content-Type: application/json'' \\\n  -d ''{\"is_correct\": true, \"comment\": \"just right\"}''\n```\n\nTo watch chats and ratings as they come in, run `gateway tail --follow`. For real answers, set `OPENAI_API_KEY` or name a provider in `config.toml`."}]',NULL);
INSERT INTO "traces" VALUES('tr-01a21ddf2f513b2e0ace64d781d8b671','6d2a7777fa80fac1','default','/chat/stream','IN_PROGRESS',NULL,1795797495633,NULL,NULL,NULL,'demo/lorem-400-50ms',NULL,NULL,'s-224ce1a9935813dc22d4e2627ff2e172','ann',NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,'cc0d2931db3a','{}','{}','long',NULL,'[{"role":"user","content":"long"}]',NULL,NULL);
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
