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
, error TEXT);
INSERT INTO "assessments" VALUES('a-ca6b600864c1fcb24d7209cf63909297','tr-01a21de0c2defb8f787065207b3ea06c','default','default','feedback','user_feedback','false','HUMAN','ann',NULL,1795797607194,1795797607214,NULL,0,NULL,'{"reasons":"[\"wrong\"]"}','Not quite.',NULL);
INSERT INTO "assessments" VALUES('a-0591e0e02a5ccb9cccacd3239b3ceccb','tr-01a21de0c2defb8f787065207b3ea06c','default','default','feedback','user_feedback','true','HUMAN','ann',NULL,1795797607214,1795797607214,'a-ca6b600864c1fcb24d7209cf63909297',1,NULL,'{}','On second thoughts …',NULL);
INSERT INTO "assessments" VALUES('a-fef0fac2ca216a3df10ab5e7c2824d7e','tr-01a21de0d377687d3129070fa132ee86','default','default','feedback','user_accuracy','0.8','HUMAN','bob',NULL,1795797607219,1795797607242,NULL,0,1795797607242,'{"score":"4","scale":"1-5"}',NULL,NULL);
INSERT INTO "assessments" VALUES('a-8f006278c9ca0b0aceef8838c3aeb0e2','tr-01a21de0d377687d3129070fa132ee86','default','default','feedback','user_helpfulness','1.0','HUMAN','bob',NULL,1795797607219,1795797607219,NULL,1,NULL,'{"score":"5","scale":"1-5"}',NULL,NULL);
INSERT INTO "assessments" VALUES('a-4347eb4cfae240a3a86285e8e21700ff','tr-abababababababababababababababab','default','','feedback','good','true','HUMAN','ann',NULL,1767225600000,1767225600000,NULL,1,NULL,'{}',NULL,NULL);
CREATE TABLE checkpoints (
    trace_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    time BIGINT NOT NULL,
    parts TEXT NOT NULL,
    PRIMARY KEY (trace_id, seq)
) WITHOUT ROWID;
INSERT INTO "checkpoints" VALUES('tr-01a21de0e6f9fc781ec32af2fe7609f3',0,1795797608744,'[["text","lorem ipsum dolor sit amet consectetur adipiscing elit sed do"]]');
INSERT INTO "checkpoints" VALUES('tr-01a21de0e6f9fc781ec32af2fe7609f3',1,1795797609745,'[["text"," eiusmod tempor incididunt ut labore et dolore magna aliqua lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod"]]');
INSERT INTO "checkpoints" VALUES('tr-01a21de0e6f9fc781ec32af2fe7609f3',2,1795797610793,'[["text"," tempor incididunt ut labore et dolore magna aliqua lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod"]]');
CREATE TABLE dataset_records (
    dataset_id TEXT NOT NULL,
    record_id TEXT NOT NULL,
    input_hash TEXT NOT NULL,
    created_time BIGINT NOT NULL,
    last_update_time BIGINT NOT NULL,
    created_by TEXT,
    last_updated_by TEXT,
    inputs TEXT NOT NULL,
    outputs TEXT,
    expectations TEXT,
    tags TEXT,
    source TEXT,
    PRIMARY KEY (dataset_id, record_id)
) WITHOUT ROWID;
INSERT INTO "dataset_records" VALUES('d-ac98ee40a4e98c8fb293da2b01ee3f44','dr-efb75341bdc7187879be1a3cdccfc471','9be7fdaa0e4848375c609acdc1177e7d4eecef65e6bd4b1ff6d0a3337169e2f0',1795797608169,1795797608169,NULL,NULL,'{"question":"Hello?"}',NULL,'{"answer":"Hi"}',NULL,'{"source_type":"TRACE","source_data":{"trace_id":"tr-01a21de0c2defb8f787065207b3ea06c"}}');
CREATE TABLE datasets (
    dataset_id TEXT PRIMARY KEY NOT NULL,
    project TEXT NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    created_time BIGINT NOT NULL,
    last_update_time BIGINT NOT NULL,
    created_by TEXT,
    last_updated_by TEXT,
    experiment_ids TEXT NOT NULL,
    tags TEXT NOT NULL,
    schema TEXT,
    profile TEXT
);
INSERT INTO "datasets" VALUES('d-ac98ee40a4e98c8fb293da2b01ee3f44','default','cases','9cd7d97c',1795797608166,1795797608169,NULL,NULL,'["0"]','{}','{"inputs":{"question":"string"},"outputs":{},"expectations":{"answer":"string"},"version":"1.0"}','{"num_records":1}');
CREATE TABLE experiments (
    project TEXT NOT NULL,
    experiment_id TEXT NOT NULL,
    name TEXT NOT NULL,
    lifecycle_stage TEXT NOT NULL,
    creation_time BIGINT NOT NULL,
    last_update_time BIGINT NOT NULL,
    tags TEXT NOT NULL,
    PRIMARY KEY (project, experiment_id)
) WITHOUT ROWID;
INSERT INTO "experiments" VALUES('default','1','tuning','active',1795797608152,1795797608152,'{}');
CREATE TABLE idempotency (
    project TEXT NOT NULL,
    source_id TEXT NOT NULL,
    key TEXT NOT NULL,
    body_hash TEXT NOT NULL,
    receipt TEXT NOT NULL,
    created BIGINT NOT NULL,
    PRIMARY KEY (project, source_id, key)
) WITHOUT ROWID;
INSERT INTO "idempotency" VALUES('default','ann','k-1','b678fc1fb4d8276cf88103019318fb02ae959dcb5a9521f42025ba4cdd98df31','{"trace_id":"tr-01a21de0c2defb8f787065207b3ea06c","assessments":[{"assessment_id":"a-ca6b600864c1fcb24d7209cf63909297","trace_id":"tr-01a21de0c2defb8f787065207b3ea06c","project":"default","name":"user_feedback","value":false,"source_id":"ann","source_type":"HUMAN","kind":"feedback","rationale":"Not quite.","metadata":{"reasons":"[\"wrong\"]"},"span_id":null,"create_time":1795797607194,"last_update_time":1795797607194,"overrides":null,"valid":true,"error":null}],"replayed":false}',1795797607194);
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
INSERT INTO "keys" VALUES('key-31d76428d9ce9333','app','chat','default','6317d9b11f8262192fcce079165fb41b87fd9a442e391deaba532e95561827b7','gw-sk-ElJ2',1795797607626,NULL,NULL);
CREATE TABLE labels (
    trace_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    project TEXT NOT NULL,
    PRIMARY KEY (trace_id, kind, key)
) WITHOUT ROWID;
INSERT INTO "labels" VALUES('tr-01a21de0c2defb8f787065207b3ea06c','metadata','page','home','default');
INSERT INTO "labels" VALUES('tr-01a21de0c2defb8f787065207b3ea06c','tag','team','blue','default');
INSERT INTO "labels" VALUES('tr-abababababababababababababababab','metadata','mlflow.trace.infoFinalized','true','default');
INSERT INTO "labels" VALUES('tr-abababababababababababababababab','metadata','mlflow.user','ann','default');
CREATE TABLE meta (
    name TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO "meta" VALUES('ping','1795797598933');
CREATE TABLE run_traces (
    run_id TEXT NOT NULL,
    trace_id TEXT NOT NULL,
    PRIMARY KEY (run_id, trace_id)
) WITHOUT ROWID;
INSERT INTO "run_traces" VALUES('d9e9c64f85dcd9c9db1e1a696bde3453','tr-01a21de0c2defb8f787065207b3ea06c');
CREATE TABLE run_values (
    run_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    step BIGINT NOT NULL,
    time BIGINT NOT NULL,
    PRIMARY KEY (run_id, kind, key)
) WITHOUT ROWID;
INSERT INTO "run_values" VALUES('d9e9c64f85dcd9c9db1e1a696bde3453','metric','score','0.5',0,1);
INSERT INTO "run_values" VALUES('d9e9c64f85dcd9c9db1e1a696bde3453','tag','mlflow.runName','first',0,0);
CREATE TABLE runs (
    run_id TEXT PRIMARY KEY NOT NULL,
    project TEXT NOT NULL,
    experiment_id TEXT NOT NULL,
    name TEXT NOT NULL,
    user_id TEXT NOT NULL,
    status TEXT NOT NULL,
    lifecycle_stage TEXT NOT NULL,
    start_time BIGINT NOT NULL,
    end_time BIGINT
);
INSERT INTO "runs" VALUES('d9e9c64f85dcd9c9db1e1a696bde3453','default','0','first','','RUNNING','active',1,NULL);
CREATE TABLE sessions (
    project TEXT NOT NULL,
    session_id TEXT NOT NULL,
    user_id TEXT,
    created BIGINT NOT NULL,
    PRIMARY KEY (project, session_id)
) WITHOUT ROWID;
INSERT INTO "sessions" VALUES('default','s-01a21de0e6f96544f766b8b8cbd62c96','ann',1795797608185);
INSERT INTO "sessions" VALUES('default','s-1','ann',1795797598942);
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
    attributes TEXT NOT NULL, type TEXT, otlp TEXT,
    PRIMARY KEY (trace_id, span_id)
) WITHOUT ROWID;
INSERT INTO "spans" VALUES('tr-01a21de0c2defb8f787065207b3ea06c','01361d95361894a6',NULL,'chat default','SERVER',1795797598942,1795797603181,'OK',NULL,'{"gen_ai.operation.name":"chat","gen_ai.request.model":"default","gen_ai.conversation.id":"s-1","gateway.route":"/chat","gateway.outcome":"complete","gateway.config_hash":"12a8c752be5c","gen_ai.response.model":"echo","gen_ai.response.finish_reasons":["stop"],"gen_ai.usage.input_tokens":4,"gen_ai.usage.output_tokens":100,"gen_ai.server.time_to_first_token":0.04}',NULL,NULL);
INSERT INTO "spans" VALUES('tr-01a21de0c2defb8f787065207b3ea06c','c7aa5bcb945c067c','01361d95361894a6','chat demo/echo','CLIENT',1795797598942,1795797603181,'OK',NULL,'{"gen_ai.operation.name":"chat","gen_ai.provider.name":"demo","gen_ai.request.model":"echo","http.response.status_code":200,"gen_ai.server.time_to_first_token":0.04}',NULL,NULL);
INSERT INTO "spans" VALUES('tr-01a21de0d377687d3129070fa132ee86','25b6c95c4a8d9f24','7cbed9c270294c2d','chat demo/echo','CLIENT',1795797603191,1795797607191,'OK',NULL,'{"gen_ai.operation.name":"chat","gen_ai.provider.name":"demo","gen_ai.request.model":"echo","http.response.status_code":200,"gen_ai.server.time_to_first_token":0.041}',NULL,NULL);
INSERT INTO "spans" VALUES('tr-01a21de0d377687d3129070fa132ee86','7cbed9c270294c2d',NULL,'chat default','SERVER',1795797603191,1795797607191,'OK',NULL,'{"gen_ai.operation.name":"chat","gen_ai.request.model":"default","gen_ai.conversation.id":"s-1","gateway.route":"/chat","gateway.outcome":"complete","gateway.config_hash":"12a8c752be5c","gen_ai.response.model":"echo","gen_ai.response.finish_reasons":["stop"],"gen_ai.usage.input_tokens":6,"gen_ai.usage.output_tokens":98,"gen_ai.server.time_to_first_token":0.041}',NULL,NULL);
CREATE TABLE trace_artifacts (
    trace_id TEXT PRIMARY KEY NOT NULL,
    project TEXT NOT NULL,
    data TEXT NOT NULL
);
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
, experiment_id TEXT NOT NULL DEFAULT '0', name TEXT);
INSERT INTO "traces" VALUES('tr-01a21de0c2defb8f787065207b3ea06c','01361d95361894a6','default','/chat','OK','complete',1795797598942,1795797603181,4239,40,'default','echo','demo','s-1','ann','c-1','stop',NULL,NULL,4,100,104,0,NULL,NULL,'12a8c752be5c','{"team":"blue"}','{"page":"home"}','Hello! What is this?','You said: “Hello! What is this?”

This is the gateway''s built-in demo model: there is no AI behind it, but everything around it is real. The answer streams word by word, and it has a **trace**, whose ID is in the `X-Trace-Id` header and in the `start` and `done` events. With that ID anybody who read the answer can rate it:

```sh
curl ''http://127.0.0.1:8000/feedback?trace_id=TRACE_ID'' \
  -H ''Content-Type: application/json'' \
  -d ''{"is_correct": true, "comment": "just right"}''
```

To watch chats and ratings as they come in, run `gateway tail --follow`. For real answers, set `OPENAI_API_KEY` or name a provider in `config.toml`.','[{"role":"user","content":"Hello! What is this?"}]','[{"role":"assistant","content":"You said: “Hello! What is this?”\n\nThis is the gateway''s built-in demo model: there is no AI behind it, but everything around it is real. The answer streams word by word, and it has a **trace**, whose ID is in the `X-Trace-Id` header and in the `start` and `done` events. With that ID anybody who read the answer can rate it:\n\n```sh\ncurl ''http://127.0.0.1:8000/feedback?trace_id=TRACE_ID'' \\\n  -H ''Content-Type: application/json'' \\\n  -d ''{\"is_correct\": true, \"comment\": \"just right\"}''\n```\n\nTo watch chats and ratings as they come in, run `gateway tail --follow`. For real answers, set `OPENAI_API_KEY` or name a provider in `config.toml`."}]',NULL,'0',NULL);
INSERT INTO "traces" VALUES('tr-01a21de0d377687d3129070fa132ee86','7cbed9c270294c2d','default','/chat','OK','complete',1795797603191,1795797607191,4000,41,'default','echo','demo','s-1','ann',NULL,'stop',NULL,NULL,6,98,104,0,NULL,NULL,'12a8c752be5c','{}','{}','And again?','You said: “And again?”

This is the gateway''s built-in demo model: there is no AI behind it, but everything around it is real. The answer streams word by word, and it has a **trace**, whose ID is in the `X-Trace-Id` header and in the `start` and `done` events. With that ID anybody who read the answer can rate it:

```sh
curl ''http://127.0.0.1:8000/feedback?trace_id=TRACE_ID'' \
  -H ''Content-Type: application/json'' \
  -d ''{"is_correct": true, "comment": "just right"}''
```

To watch chats and ratings as they come in, run `gateway tail --follow`. For real answers, set `OPENAI_API_KEY` or name a provider in `config.toml`.','[{"role":"user","content":"Hello! What is this?"},{"role":"assistant","content":"You said: “Hello! What is this?”\n\nThis is the gateway''s built-in demo model: there is no AI behind it, but everything around it is real. The answer streams word by word, and it has a **trace**, whose ID is in the `X-Trace-Id` header and in the `start` and `done` events. With that ID anybody who read the answer can rate it:\n\n```sh\ncurl ''http://127.0.0.1:8000/feedback?trace_id=TRACE_ID'' \\\n  -H ''Content-Type: application/json'' \\\n  -d ''{\"is_correct\": true, \"comment\": \"just right\"}''\n```\n\nTo watch chats and ratings as they come in, run `gateway tail --follow`. For real answers, set `OPENAI_API_KEY` or name a provider in `config.toml`."},{"role":"user","content":"And again?"}]','[{"role":"assistant","content":"You said: “And again?”\n\nThis is the gateway''s built-in demo model: there is no AI behind it, but everything around it is real. The answer streams word by word, and it has a **trace**, whose ID is in the `X-Trace-Id` header and in the `start` and `done` events. With that ID anybody who read the answer can rate it:\n\n```sh\ncurl ''http://127.0.0.1:8000/feedback?trace_id=TRACE_ID'' \\\n  -H ''Content-Type: application/json'' \\\n  -d ''{\"is_correct\": true, \"comment\": \"just right\"}''\n```\n\nTo watch chats and ratings as they come in, run `gateway tail --follow`. For real answers, set `OPENAI_API_KEY` or name a provider in `config.toml`."}]',NULL,'0',NULL);
INSERT INTO "traces" VALUES('tr-abababababababababababababababab','','default','mlflow','OK',NULL,1767225600000,1795797608174,1500,NULL,'',NULL,NULL,'',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,'','{}','{"mlflow.user":"ann","mlflow.trace.infoFinalized":"true"}',NULL,NULL,NULL,NULL,NULL,'0','own');
INSERT INTO "traces" VALUES('tr-01a21de0e6f9fc781ec32af2fe7609f3','2ce1e0f193cb482f','default','/chat/stream','IN_PROGRESS',NULL,1795797608185,NULL,NULL,NULL,'demo/lorem-400-50ms',NULL,NULL,'s-01a21de0e6f96544f766b8b8cbd62c96','ann',NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,'12a8c752be5c','{}','{}','long',NULL,'[{"role":"user","content":"long"}]',NULL,NULL,'0',NULL);
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
CREATE INDEX traces_newest ON traces (project, experiment_id, request_time DESC, trace_id);
CREATE INDEX assessments_of_value ON assessments (project, name, value) WHERE LENGTH(value) <= 250;
CREATE INDEX labels_of_value ON labels (project, kind, key, value) WHERE LENGTH(value) <= 250;
CREATE UNIQUE INDEX experiments_name ON experiments (project, name);
CREATE INDEX runs_newest ON runs (project, experiment_id, start_time DESC, run_id);
CREATE INDEX run_traces_of_trace ON run_traces (trace_id);
CREATE INDEX datasets_newest ON datasets (project, created_time DESC, dataset_id DESC);
CREATE UNIQUE INDEX dataset_records_inputs ON dataset_records (dataset_id, input_hash);
COMMIT;
