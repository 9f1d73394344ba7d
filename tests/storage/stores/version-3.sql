PRAGMA user_version = 3;
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
INSERT INTO "assessments" VALUES('a-5da7e4d93dd810445dc8ece5b89c2b5e','tr-01a21ddf9af8ee2fc86e02af7b981b88','default','default','feedback','user_feedback','false','HUMAN','ann',NULL,1795797531378,1795797531382,NULL,0,NULL,'{"reasons":"[\"wrong\"]"}','Not quite.',NULL);
INSERT INTO "assessments" VALUES('a-d4239b57244d33f0058368bb48704545','tr-01a21ddf9af8ee2fc86e02af7b981b88','default','default','feedback','user_feedback','true','HUMAN','ann',NULL,1795797531382,1795797531382,'a-5da7e4d93dd810445dc8ece5b89c2b5e',1,NULL,'{}','On second thoughts …',NULL);
INSERT INTO "assessments" VALUES('a-e9b574162145a17dfe0c416c97ec9fd9','tr-01a21ddfaaf4d45093396169eca6f2ac','default','default','feedback','user_accuracy','0.8','HUMAN','bob',NULL,1795797531384,1795797531389,NULL,0,1795797531389,'{"score":"4","scale":"1-5"}',NULL,NULL);
INSERT INTO "assessments" VALUES('a-1e1357126bbcbc9f76d210f430e435e2','tr-01a21ddfaaf4d45093396169eca6f2ac','default','default','feedback','user_helpfulness','1.0','HUMAN','bob',NULL,1795797531384,1795797531384,NULL,1,NULL,'{"score":"5","scale":"1-5"}',NULL,NULL);
INSERT INTO "assessments" VALUES('a-dcd6f45adc9231a1c7f1d360b532fed9','tr-abababababababababababababababab','default','','feedback','good','true','HUMAN','ann',NULL,1767225600000,1767225600000,NULL,1,NULL,'{}',NULL,NULL);
CREATE TABLE checkpoints (
    trace_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    time BIGINT NOT NULL,
    parts TEXT NOT NULL,
    PRIMARY KEY (trace_id, seq)
) WITHOUT ROWID;
INSERT INTO "checkpoints" VALUES('tr-01a21ddfc0f27a399bc5db480a6282a3',0,1795797533954,'[["text","lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore et dolore magna aliqua lorem"]]');
INSERT INTO "checkpoints" VALUES('tr-01a21ddfc0f27a399bc5db480a6282a3',1,1795797534955,'[["text"," ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore et dolore magna aliqua lorem ipsum"]]');
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
    source_id TEXT, -- the trace it was taken from
    PRIMARY KEY (dataset_id, record_id)
) WITHOUT ROWID;
INSERT INTO "dataset_records" VALUES('d-25193d5b970fc2c5578db1ccb0d40e67','dr-e7824bb0acec544bd327528c09047873','9be7fdaa0e4848375c609acdc1177e7d4eecef65e6bd4b1ff6d0a3337169e2f0',1795797532885,1795797532885,NULL,NULL,'{"question":"Hello?"}',NULL,'{"answer":"Hi"}',NULL,'{"source_type":"TRACE","source_data":{"trace_id":"tr-01a21ddf9af8ee2fc86e02af7b981b88"}}','tr-01a21ddf9af8ee2fc86e02af7b981b88');
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
INSERT INTO "datasets" VALUES('d-25193d5b970fc2c5578db1ccb0d40e67','default','cases','6ec462fd',1795797532873,1795797532885,NULL,NULL,'["0"]','{}','{"inputs":{"question":"string"},"outputs":{},"expectations":{"answer":"string"},"version":"1.0"}','{"num_records":1}');
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
INSERT INTO "experiments" VALUES('default','1','tuning','active',1795797532732,1795797532732,'{}');
CREATE TABLE idempotency (
    project TEXT NOT NULL,
    source_id TEXT NOT NULL,
    key TEXT NOT NULL,
    body_hash TEXT NOT NULL,
    receipt TEXT NOT NULL,
    created BIGINT NOT NULL,
    PRIMARY KEY (project, source_id, key)
) WITHOUT ROWID;
INSERT INTO "idempotency" VALUES('default','ann','k-1','2ab01c331a662899dff1d53686b590f9011273c71cb0d3219f0046488078c6de','{"trace_id":"tr-01a21ddf9af8ee2fc86e02af7b981b88","assessments":[{"assessment_id":"a-5da7e4d93dd810445dc8ece5b89c2b5e","trace_id":"tr-01a21ddf9af8ee2fc86e02af7b981b88","project":"default","name":"user_feedback","value":false,"source_id":"ann","source_type":"HUMAN","kind":"feedback","rationale":"Not quite.","metadata":{"reasons":"[\"wrong\"]"},"span_id":null,"create_time":1795797531378,"last_update_time":1795797531378,"overrides":null,"valid":true,"error":null}],"replayed":false}',1795797531378);
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
INSERT INTO "keys" VALUES('key-21f3df4b3b211022','app','chat','default','267e71aeb44340c3a515dc297e91c8505286a047aaf0fbb60186972af46c864a','gw-sk-oe2S',1795797531878,NULL,NULL,0,'[]',0,NULL);
INSERT INTO "keys" VALUES('key-419e30d6309bf744','page','chat','default','6b2685e6bff5a75e76fd6f32908c0035fb04c6654bfb6015b80daaf4e16cc44d','gw-pk-eOce',1795797532470,NULL,NULL,1,'["https://app.example.com"]',600,NULL);
CREATE TABLE labels (
    trace_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    project TEXT NOT NULL,
    PRIMARY KEY (trace_id, kind, key)
) WITHOUT ROWID;
INSERT INTO "labels" VALUES('tr-01a21ddf9af8ee2fc86e02af7b981b88','metadata','page','home','default');
INSERT INTO "labels" VALUES('tr-01a21ddf9af8ee2fc86e02af7b981b88','tag','team','blue','default');
INSERT INTO "labels" VALUES('tr-abababababababababababababababab','metadata','mlflow.trace.infoFinalized','true','default');
INSERT INTO "labels" VALUES('tr-abababababababababababababababab','metadata','mlflow.user','ann','default');
CREATE TABLE meta (
    name TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO "meta" VALUES('ping','1795797523190');
INSERT INTO "meta" VALUES('signing_key','a signing key of a test');
CREATE TABLE run_traces (
    run_id TEXT NOT NULL,
    trace_id TEXT NOT NULL,
    PRIMARY KEY (run_id, trace_id)
) WITHOUT ROWID;
INSERT INTO "run_traces" VALUES('06aaa5a24217503fe5177e70ee07719f','tr-01a21ddf9af8ee2fc86e02af7b981b88');
CREATE TABLE run_values (
    run_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    step BIGINT NOT NULL,
    time BIGINT NOT NULL,
    PRIMARY KEY (run_id, kind, key)
) WITHOUT ROWID;
INSERT INTO "run_values" VALUES('06aaa5a24217503fe5177e70ee07719f','metric','score','0.5',0,1);
INSERT INTO "run_values" VALUES('06aaa5a24217503fe5177e70ee07719f','tag','mlflow.runName','first',0,0);
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
INSERT INTO "runs" VALUES('06aaa5a24217503fe5177e70ee07719f','default','0','first','','RUNNING','active',1,NULL);
CREATE TABLE sessions (
    project TEXT NOT NULL,
    session_id TEXT NOT NULL,
    user_id TEXT,
    created BIGINT NOT NULL,
    PRIMARY KEY (project, session_id)
) WITHOUT ROWID;
INSERT INTO "sessions" VALUES('default','s-01a21ddfc0f2b57281a234fea42b75bb','ann',1795797532914);
INSERT INTO "sessions" VALUES('default','s-1','ann',1795797523192);
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
INSERT INTO "spans" VALUES('tr-01a21ddf9af8ee2fc86e02af7b981b88','320809a66969d530',NULL,'chat default','SERVER',1795797523192,1795797527279,'OK',NULL,'{"gen_ai.operation.name":"chat","gen_ai.request.model":"default","gen_ai.conversation.id":"s-1","gateway.route":"/chat","gateway.outcome":"complete","gateway.config_hash":"3f4b06798a19","gen_ai.response.model":"echo","gen_ai.response.finish_reasons":["stop"],"gen_ai.usage.input_tokens":4,"gen_ai.usage.output_tokens":100,"gen_ai.server.time_to_first_token":0.041}',NULL,NULL);
INSERT INTO "spans" VALUES('tr-01a21ddf9af8ee2fc86e02af7b981b88','9106f6b5c30b2398','320809a66969d530','chat demo/echo','CLIENT',1795797523192,1795797527279,'OK',NULL,'{"gen_ai.operation.name":"chat","gen_ai.provider.name":"demo","gen_ai.request.model":"echo","http.response.status_code":200,"gen_ai.server.time_to_first_token":0.041}',NULL,NULL);
INSERT INTO "spans" VALUES('tr-01a21ddfaaf4d45093396169eca6f2ac','0032eeaaf0b0e5a7',NULL,'chat default','SERVER',1795797527284,1795797531375,'OK',NULL,'{"gen_ai.operation.name":"chat","gen_ai.request.model":"default","gen_ai.conversation.id":"s-1","gateway.route":"/chat","gateway.outcome":"complete","gateway.config_hash":"3f4b06798a19","gen_ai.response.model":"echo","gen_ai.response.finish_reasons":["stop"],"gen_ai.usage.input_tokens":6,"gen_ai.usage.output_tokens":98,"gen_ai.server.time_to_first_token":0.073}',NULL,NULL);
INSERT INTO "spans" VALUES('tr-01a21ddfaaf4d45093396169eca6f2ac','1fba4b1be695a596','0032eeaaf0b0e5a7','chat demo/echo','CLIENT',1795797527284,1795797531375,'OK',NULL,'{"gen_ai.operation.name":"chat","gen_ai.provider.name":"demo","gen_ai.request.model":"echo","http.response.status_code":200,"gen_ai.server.time_to_first_token":0.073}',NULL,NULL);
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
INSERT INTO "traces" VALUES('tr-01a21ddf9af8ee2fc86e02af7b981b88','320809a66969d530','default','/chat','OK','complete',1795797523192,1795797527279,4087,41,'default','echo','demo','s-1','ann','c-1','stop',NULL,NULL,4,100,104,0,NULL,NULL,'3f4b06798a19','{"team":"blue"}','{"page":"home"}','Hello! What is this?','You said: “Hello! What is this?”

This is the gateway''s built-in demo model: there is no AI behind it, but everything around it is real. The answer streams word by word, and it has a **trace**, whose ID is in the `X-Trace-Id` header and in the `start` and `done` events. With that ID anybody who read the answer can rate it:

```sh
curl ''http://127.0.0.1:8000/feedback?trace_id=TRACE_ID'' \
  -H ''Content-Type: application/json'' \
  -d ''{"is_correct": true, "comment": "just right"}''
```

To watch chats and ratings as they come in, run `gateway tail --follow`. For real answers, set `OPENAI_API_KEY` or name a provider in `config.toml`.','[{"role":"user","content":"Hello! What is this?"}]','[{"role":"assistant","content":"You said: “Hello! What is this?”\n\nThis is the gateway''s built-in demo model: there is no AI behind it, but everything around it is real. The answer streams word by word, and it has a **trace**, whose ID is in the `X-Trace-Id` header and in the `start` and `done` events. With that ID anybody who read the answer can rate it:\n\n```sh\ncurl ''http://127.0.0.1:8000/feedback?trace_id=TRACE_ID'' \\\n  -H ''Content-Type: application/json'' \\\n  -d ''{\"is_correct\": true, \"comment\": \"just right\"}''\n```\n\nTo watch chats and ratings as they come in, run `gateway tail --follow`. For real answers, set `OPENAI_API_KEY` or name a provider in `config.toml`."}]',NULL,'0',NULL);
INSERT INTO "traces" VALUES('tr-01a21ddfaaf4d45093396169eca6f2ac','0032eeaaf0b0e5a7','default','/chat','OK','complete',1795797527284,1795797531375,4091,73,'default','echo','demo','s-1','ann',NULL,'stop',NULL,NULL,6,98,104,0,NULL,NULL,'3f4b06798a19','{}','{}','And again?','You said: “And again?”

This is the gateway''s built-in demo model: there is no AI behind it, but everything around it is real. The answer streams word by word, and it has a **trace**, whose ID is in the `X-Trace-Id` header and in the `start` and `done` events. With that ID anybody who read the answer can rate it:

```sh
curl ''http://127.0.0.1:8000/feedback?trace_id=TRACE_ID'' \
  -H ''Content-Type: application/json'' \
  -d ''{"is_correct": true, "comment": "just right"}''
```

To watch chats and ratings as they come in, run `gateway tail --follow`. For real answers, set `OPENAI_API_KEY` or name a provider in `config.toml`.','[{"role":"user","content":"Hello! What is this?"},{"role":"assistant","content":"You said: “Hello! What is this?”\n\nThis is the gateway''s built-in demo model: there is no AI behind it, but everything around it is real. The answer streams word by word, and it has a **trace**, whose ID is in the `X-Trace-Id` header and in the `start` and `done` events. With that ID anybody who read the answer can rate it:\n\n```sh\ncurl ''http://127.0.0.1:8000/feedback?trace_id=TRACE_ID'' \\\n  -H ''Content-Type: application/json'' \\\n  -d ''{\"is_correct\": true, \"comment\": \"just right\"}''\n```\n\nTo watch chats and ratings as they come in, run `gateway tail --follow`. For real answers, set `OPENAI_API_KEY` or name a provider in `config.toml`."},{"role":"user","content":"And again?"}]','[{"role":"assistant","content":"You said: “And again?”\n\nThis is the gateway''s built-in demo model: there is no AI behind it, but everything around it is real. The answer streams word by word, and it has a **trace**, whose ID is in the `X-Trace-Id` header and in the `start` and `done` events. With that ID anybody who read the answer can rate it:\n\n```sh\ncurl ''http://127.0.0.1:8000/feedback?trace_id=TRACE_ID'' \\\n  -H ''Content-Type: application/json'' \\\n  -d ''{\"is_correct\": true, \"comment\": \"just right\"}''\n```\n\nTo watch chats and ratings as they come in, run `gateway tail --follow`. For real answers, set `OPENAI_API_KEY` or name a provider in `config.toml`."}]',NULL,'0',NULL);
INSERT INTO "traces" VALUES('tr-abababababababababababababababab','','default','mlflow','OK',NULL,1767225600000,1795797532897,1500,NULL,'',NULL,NULL,'',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,'','{}','{"mlflow.user":"ann","mlflow.trace.infoFinalized":"true"}',NULL,NULL,NULL,NULL,NULL,'0','own');
INSERT INTO "traces" VALUES('tr-01a21ddfc0f27a399bc5db480a6282a3','9901d0babb7b558c','default','/chat/stream','IN_PROGRESS',NULL,1795797532914,NULL,NULL,NULL,'demo/lorem-400-50ms',NULL,NULL,'s-01a21ddfc0f2b57281a234fea42b75bb','ann',NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,'3f4b06798a19','{}','{}','long',NULL,'[{"role":"user","content":"long"}]',NULL,NULL,'0',NULL);
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
CREATE INDEX dataset_records_source ON dataset_records (source_id) WHERE source_id IS NOT NULL;
CREATE UNIQUE INDEX dataset_records_inputs ON dataset_records (dataset_id, input_hash);
COMMIT;
