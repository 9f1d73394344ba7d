PRAGMA user_version = 9;
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
, error TEXT, replaced_by TEXT);
INSERT INTO "assessments" VALUES('a-66144b2de1874fd3230d7d0df579bd04','tr-01a21ddfd80463c4460bfa59d65b4c04','default','default','feedback','user_feedback','false','HUMAN','ann',NULL,1795797546834,1795797546839,NULL,0,NULL,'{"reasons":"[\"wrong\"]"}','Not quite.',NULL,NULL);
INSERT INTO "assessments" VALUES('a-66144b2de2c92f9c3170f01058b416f5','tr-01a21ddfd80463c4460bfa59d65b4c04','default','default','feedback','user_feedback','true','HUMAN','ann',NULL,1795797546839,1795797546839,'a-66144b2de1874fd3230d7d0df579bd04',1,NULL,'{}','On second thoughts …',NULL,NULL);
INSERT INTO "assessments" VALUES('a-66144b2de37c3ee86b4ada096b48ead3','tr-01a21ddfe7d30a59b6522c149e3ad1a0','default','default','feedback','user_accuracy','0.8','HUMAN','bob',NULL,1795797546842,1795797546843,NULL,0,1795797546843,'{"score":"4","scale":"1-5"}',NULL,NULL,'a-66144b2de37c3ee86b4ada096b48ead3');
INSERT INTO "assessments" VALUES('a-66144b2de37c758b252f82e77a9eab67','tr-01a21ddfe7d30a59b6522c149e3ad1a0','default','default','feedback','user_helpfulness','1.0','HUMAN','bob',NULL,1795797546842,1795797546842,NULL,1,NULL,'{"score":"5","scale":"1-5"}',NULL,NULL,NULL);
INSERT INTO "assessments" VALUES('a-66144b2ed0bfa08a830e048e9c11df0b','tr-abababababababababababababababab','default','','feedback','good','true','HUMAN','ann',NULL,1767225600000,1767225600000,NULL,1,NULL,'{}',NULL,NULL,NULL);
INSERT INTO "assessments" VALUES('a-661485bcd9d3c6077ccc2e0b6e8d86f8','tr-01a21ddfd80463c4460bfa59d65b4c04','default','default','feedback','user_feedback','true','HUMAN','dora',NULL,2000000000000,2000000000001,NULL,0,NULL,'{}',NULL,NULL,'a-661485bcda1f01b1ac2d351c4ae24023');
INSERT INTO "assessments" VALUES('a-661485bcda1f01b1ac2d351c4ae24023','tr-01a21ddfd80463c4460bfa59d65b4c04','default','default','feedback','user_feedback','true','HUMAN','dora',NULL,2000000000002,2000000000002,'a-661485bcd9d3c6077ccc2e0b6e8d86f8',1,NULL,'{}',NULL,NULL,NULL);
CREATE TABLE attachments (
    project TEXT NOT NULL,
    digest TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (project, digest)
);
INSERT INTO "attachments" VALUES('default','a821a6bfd759c6d6702fc6fd825c64023c33cf9646f4279714531d021391d5d9','data:image/png;base64,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA');
CREATE TABLE checkpoints (
    trace_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    time BIGINT NOT NULL,
    parts TEXT NOT NULL,
    PRIMARY KEY (trace_id, seq)
) WITHOUT ROWID;
INSERT INTO "checkpoints" VALUES('tr-01a21ddffb30a2cbe58e33ba57b4acb3',0,1795797548542,'[["text","lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut"]]');
INSERT INTO "checkpoints" VALUES('tr-01a21ddffb30a2cbe58e33ba57b4acb3',1,1795797549546,'[["text"," labore et dolore magna aliqua lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut"]]');
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
INSERT INTO "dataset_records" VALUES('d-98a8bc486980f4af6289f79367053f04','dr-39fb8176c3da850409ad6d3a1d207566','9be7fdaa0e4848375c609acdc1177e7d4eecef65e6bd4b1ff6d0a3337169e2f0',1795797547798,1795797547798,NULL,NULL,'{"question":"Hello?"}',NULL,'{"answer":"Hi"}',NULL,'{"source_type":"TRACE","source_data":{"trace_id":"tr-01a21ddfd80463c4460bfa59d65b4c04"}}','tr-01a21ddfd80463c4460bfa59d65b4c04');
INSERT INTO "dataset_records" VALUES('d-98a8bc486980f4af6289f79367053f04','dr-55555555555555555555555555555555','9ddd4f5974c6f794e635efd0fc7168816d4000635954f6ae0d4c7a91f3f1aac5',1795800000000,1795800000000,NULL,NULL,'{"question":"since version 5"}',NULL,NULL,NULL,'{"source_type":"TRACE","source_data":{"trace_id":"tr-01a21ddfd80463c4460bfa59d65b4c04"}}','tr-01a21ddfd80463c4460bfa59d65b4c04');
CREATE TABLE dataset_sources (
    dataset_id TEXT NOT NULL,
    record_id TEXT NOT NULL,
    trace_id TEXT NOT NULL,
    user_id TEXT,
    PRIMARY KEY (dataset_id, record_id, trace_id)
) WITHOUT ROWID;
INSERT INTO "dataset_sources" VALUES('d-98a8bc486980f4af6289f79367053f04','dr-39fb8176c3da850409ad6d3a1d207566','tr-01a21ddfd80463c4460bfa59d65b4c04',NULL);
INSERT INTO "dataset_sources" VALUES('d-98a8bc486980f4af6289f79367053f04','dr-55555555555555555555555555555555','tr-01a21ddfd80463c4460bfa59d65b4c04',NULL);
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
INSERT INTO "datasets" VALUES('d-98a8bc486980f4af6289f79367053f04','default','cases','f7377047',1795797547787,1795800000000,NULL,NULL,'["0"]','{}','{"inputs":{"question":"string"},"outputs":{},"expectations":{"answer":"string"},"version":"1.0"}','{"num_records":2}');
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
INSERT INTO "experiments" VALUES('default','1','tuning','active',1795797547752,1795797547752,'{}');
CREATE TABLE idempotency (
    project TEXT NOT NULL,
    source_id TEXT NOT NULL,
    key TEXT NOT NULL,
    body_hash TEXT NOT NULL,
    receipt TEXT NOT NULL,
    created BIGINT NOT NULL,
    PRIMARY KEY (project, source_id, key)
) WITHOUT ROWID;
INSERT INTO "idempotency" VALUES('default','ann','k-1','f1f9b149c21620218c6d44da02233208edb9bdf5123145dbe9ee5bb343700db4','{"trace_id":"tr-01a21ddfd80463c4460bfa59d65b4c04","assessments":[{"assessment_id":"a-66144b2de1874fd3230d7d0df579bd04","trace_id":"tr-01a21ddfd80463c4460bfa59d65b4c04","project":"default","name":"user_feedback","value":false,"source_id":"ann","source_type":"HUMAN","kind":"feedback","rationale":"Not quite.","metadata":{"reasons":"[\"wrong\"]"},"span_id":null,"create_time":1795797546834,"last_update_time":1795797546834,"overrides":null,"valid":true,"error":null}],"replayed":false}',1795797546834);
CREATE TABLE invites (
    invite_id TEXT PRIMARY KEY NOT NULL,
    project TEXT NOT NULL,
    user_id TEXT NOT NULL,
    role TEXT NOT NULL,
    labeling_sessions TEXT NOT NULL,
    invite_hash TEXT NOT NULL,
    created BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    expires BIGINT NOT NULL,
    revoked BIGINT,
    first_used BIGINT,
    last_used BIGINT,
    last_address TEXT
);
INSERT INTO "invites" VALUES('in-1','default','ben@x.com','reviewer','[]','0000',1795816320000,'ann',1797025920000,NULL,NULL,NULL,NULL);
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
INSERT INTO "keys" VALUES('key-c082a4071db4c9db','app','chat','default','582744953681dc9a8a129a6ec89bbc5906123fb5cd19176dedbf8bbad82b6135','gw-sk-wNSm',1795797547106,NULL,NULL,0,'[]',0,NULL);
INSERT INTO "keys" VALUES('key-b8776aa5ea5a29fd','page','chat','default','c8d459b3c6b91023d596e668a92dcaad344f66cafd384e4c33a284f619ef10d6','gw-pk-d76F',1795797547575,NULL,NULL,1,'["https://app.example.com"]',600,NULL);
CREATE TABLE labels (
    trace_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    project TEXT NOT NULL,
    PRIMARY KEY (trace_id, kind, key)
) WITHOUT ROWID;
INSERT INTO "labels" VALUES('tr-01a21ddfd80463c4460bfa59d65b4c04','metadata','page','home','default');
INSERT INTO "labels" VALUES('tr-01a21ddfd80463c4460bfa59d65b4c04','tag','team','blue','default');
INSERT INTO "labels" VALUES('tr-abababababababababababababababab','metadata','mlflow.trace.infoFinalized','true','default');
INSERT INTO "labels" VALUES('tr-abababababababababababababababab','metadata','mlflow.user','ann','default');
INSERT INTO "labels" VALUES('tr-cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd','metadata','mlflow.trace.tokenUsage','{"input_tokens":3,"output_tokens":4,"total_tokens":7}','default');
INSERT INTO "labels" VALUES('tr-cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd','metadata','mlflow.trace_schema.version','3','default');
INSERT INTO "labels" VALUES('tr-cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd','tag','mlflow.trace.spansLocation','TRACKING_STORE','default');
CREATE TABLE meta (
    name TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO "meta" VALUES('ping','1795797538818');
INSERT INTO "meta" VALUES('signing_key','a signing key of a test');
CREATE TABLE metric_values (
    run_id TEXT NOT NULL,
    key TEXT NOT NULL,
    time BIGINT NOT NULL,
    step BIGINT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (run_id, key, time, step, value)
) WITHOUT ROWID;
INSERT INTO "metric_values" VALUES('984e5b6e8028e7cd768d8ef28bb8c530','score',1,0,'0.5');
CREATE TABLE people (
    project TEXT NOT NULL,
    user_id TEXT NOT NULL,
    role TEXT NOT NULL,
    way TEXT NOT NULL,
    first_seen BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    last_address TEXT NOT NULL,
    PRIMARY KEY (project, user_id)
) WITHOUT ROWID;
INSERT INTO "people" VALUES('default','ann','lead','key',1795816320000,1795816320000,'127.0.0.1');
CREATE TABLE run_traces (
    run_id TEXT NOT NULL,
    trace_id TEXT NOT NULL,
    PRIMARY KEY (run_id, trace_id)
) WITHOUT ROWID;
INSERT INTO "run_traces" VALUES('984e5b6e8028e7cd768d8ef28bb8c530','tr-01a21ddfd80463c4460bfa59d65b4c04');
CREATE TABLE run_values (
    run_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    step BIGINT NOT NULL,
    time BIGINT NOT NULL,
    PRIMARY KEY (run_id, kind, key)
) WITHOUT ROWID;
INSERT INTO "run_values" VALUES('984e5b6e8028e7cd768d8ef28bb8c530','metric','score','0.5',0,1);
INSERT INTO "run_values" VALUES('984e5b6e8028e7cd768d8ef28bb8c530','tag','mlflow.runName','first',0,0);
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
INSERT INTO "runs" VALUES('984e5b6e8028e7cd768d8ef28bb8c530','default','0','first','','RUNNING','active',1,NULL);
CREATE TABLE sessions (
    project TEXT NOT NULL,
    session_id TEXT NOT NULL,
    user_id TEXT,
    created BIGINT NOT NULL,
    PRIMARY KEY (project, session_id)
) WITHOUT ROWID;
INSERT INTO "sessions" VALUES('default','s-01a21ddffb31d5c83169b7e31b7959b7','ann',1795797547825);
INSERT INTO "sessions" VALUES('default','s-1','ann',1795797538820);
INSERT INTO "sessions" VALUES('default','s-picture','ann',1000);
CREATE TABLE sign_ins (
    sign_in_hash TEXT PRIMARY KEY NOT NULL,
    project TEXT NOT NULL,
    user_id TEXT NOT NULL,
    role TEXT NOT NULL,
    way TEXT NOT NULL,
    behind TEXT,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    ends BIGINT
) WITHOUT ROWID;
INSERT INTO "sign_ins" VALUES('6b30b0b92a90ef44d73d489d0755b87a671d7ac70b4c96b0de14b0a933698723','default','ann','lead','key','key-c082a4071db4c9db',1795816320000,1796421120000,NULL);
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
    attributes TEXT NOT NULL, type TEXT, otlp TEXT, tokens TEXT, covered BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (trace_id, span_id)
) WITHOUT ROWID;
INSERT INTO "spans" VALUES('tr-01a21ddfd80463c4460bfa59d65b4c04','16561770b21cbaa0',NULL,'chat default','SERVER',1795797538820,1795797542864,'OK',NULL,'{"gen_ai.operation.name":"chat","gen_ai.request.model":"default","gen_ai.conversation.id":"s-1","gateway.route":"/chat","gateway.outcome":"complete","gateway.config_hash":"0057f14fb0f8","gen_ai.response.model":"echo","gen_ai.response.finish_reasons":["stop"],"gen_ai.usage.input_tokens":4,"gen_ai.usage.output_tokens":100,"gen_ai.server.time_to_first_token":0.042}',NULL,NULL,NULL,0);
INSERT INTO "spans" VALUES('tr-01a21ddfd80463c4460bfa59d65b4c04','b6dc83e0430c95eb','16561770b21cbaa0','chat demo/echo','CLIENT',1795797538821,1795797542864,'OK',NULL,'{"gen_ai.operation.name":"chat","gen_ai.provider.name":"demo","gen_ai.request.model":"echo","http.response.status_code":200,"gen_ai.server.time_to_first_token":0.041}',NULL,NULL,NULL,0);
INSERT INTO "spans" VALUES('tr-01a21ddfe7d30a59b6522c149e3ad1a0','8b1d227442520d3d',NULL,'chat default','SERVER',1795797542867,1795797546828,'OK',NULL,'{"gen_ai.operation.name":"chat","gen_ai.request.model":"default","gen_ai.conversation.id":"s-1","gateway.route":"/chat","gateway.outcome":"complete","gateway.config_hash":"0057f14fb0f8","gen_ai.response.model":"echo","gen_ai.response.finish_reasons":["stop"],"gen_ai.usage.input_tokens":6,"gen_ai.usage.output_tokens":98,"gen_ai.server.time_to_first_token":0.042}',NULL,NULL,NULL,0);
INSERT INTO "spans" VALUES('tr-01a21ddfe7d30a59b6522c149e3ad1a0','cf6c14cfc4c2a53c','8b1d227442520d3d','chat demo/echo','CLIENT',1795797542867,1795797546827,'OK',NULL,'{"gen_ai.operation.name":"chat","gen_ai.provider.name":"demo","gen_ai.request.model":"echo","http.response.status_code":200,"gen_ai.server.time_to_first_token":0.041}',NULL,NULL,NULL,0);
INSERT INTO "spans" VALUES('tr-01a21ef4e0645c734d0b5f9539497ec1','1a21ef4e064e794f',NULL,'chat default','SERVER',1000,2000,'OK',NULL,'{}',NULL,NULL,NULL,0);
INSERT INTO "spans" VALUES('tr-01a21ef4e0645c734d0b5f9539497ec1','1a21ef4e070f8dba','1a21ef4e064e794f','chat default','CLIENT',1001,2000,'OK',NULL,'{}',NULL,NULL,NULL,0);
INSERT INTO "spans" VALUES('tr-cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd','0000000000000001',NULL,'step','INTERNAL',1760000000000,1760000001000,'UNSET',NULL,'{"mlflow.chat.tokenUsage":"{\"input_tokens\":3,\"output_tokens\":4,\"total_tokens\":7}"}','UNKNOWN','{"trace_id":"zc3Nzc3Nzc3Nzc3Nzc3NzQ==","span_id":"AAAAAAAAAAE=","name":"step","start_time_unix_nano":"1760000000000000000","end_time_unix_nano":"1760000001000000000","attributes":[{"key":"mlflow.chat.tokenUsage","value":{"string_value":"{\"input_tokens\":3,\"output_tokens\":4,\"total_tokens\":7}"}}]}','{"input_tokens":3,"output_tokens":4,"total_tokens":7}',0);
INSERT INTO "spans" VALUES('tr-cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd','0000000000000002','0000000000000001','step','INTERNAL',1760000000000,1760000001000,'UNSET',NULL,'{"mlflow.chat.tokenUsage":"{\"input_tokens\":3,\"output_tokens\":4,\"total_tokens\":7}"}','UNKNOWN','{"trace_id":"zc3Nzc3Nzc3Nzc3Nzc3NzQ==","span_id":"AAAAAAAAAAI=","parent_span_id":"AAAAAAAAAAE=","name":"step","start_time_unix_nano":"1760000000000000000","end_time_unix_nano":"1760000001000000000","attributes":[{"key":"mlflow.chat.tokenUsage","value":{"string_value":"{\"input_tokens\":3,\"output_tokens\":4,\"total_tokens\":7}"}}]}','{"input_tokens":3,"output_tokens":4,"total_tokens":7}',1);
CREATE TABLE trace_artifacts (
    trace_id TEXT PRIMARY KEY NOT NULL,
    project TEXT NOT NULL,
    data TEXT NOT NULL
);
CREATE TABLE trace_attachments (
    trace_id TEXT NOT NULL,
    digest TEXT NOT NULL,
    project TEXT NOT NULL,
    PRIMARY KEY (trace_id, digest)
) WITHOUT ROWID;
INSERT INTO "trace_attachments" VALUES('tr-01a21ef4e0645c734d0b5f9539497ec1','a821a6bfd759c6d6702fc6fd825c64023c33cf9646f4279714531d021391d5d9','default');
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
, experiment_id TEXT NOT NULL DEFAULT '0', name TEXT, cost DOUBLE PRECISION);
INSERT INTO "traces" VALUES('tr-01a21ddfd80463c4460bfa59d65b4c04','16561770b21cbaa0','default','/chat','OK','complete',1795797538820,1795797542864,4044,42,'default','echo','demo','s-1','ann','c-1','stop',NULL,NULL,4,100,104,0,NULL,NULL,'0057f14fb0f8','{"team":"blue"}','{"page":"home"}','Hello! What is this?','You said: “Hello! What is this?”

This is the gateway''s built-in demo model: there is no AI behind it, but everything around it is real. The answer streams word by word, and it has a **trace**, whose ID is in the `X-Trace-Id` header and in the `start` and `done` events. With that ID anybody who read the answer can rate it:

```sh
curl ''http://127.0.0.1:8000/feedback?trace_id=TRACE_ID'' \
  -H ''Content-Type: application/json'' \
  -d ''{"is_correct": true, "comment": "just right"}''
```

To watch chats and ratings as they come in, run `gateway tail --follow`. For real answers, set `OPENAI_API_KEY` or name a provider in `config.toml`.','[{"role":"user","content":"Hello! What is this?"}]','[{"role":"assistant","content":"You said: “Hello! What is this?”\n\nThis is the gateway''s built-in demo model: there is no AI behind it, but everything around it is real. The answer streams word by word, and it has a **trace**, whose ID is in the `X-Trace-Id` header and in the `start` and `done` events. With that ID anybody who read the answer can rate it:\n\n```sh\ncurl ''http://127.0.0.1:8000/feedback?trace_id=TRACE_ID'' \\\n  -H ''Content-Type: application/json'' \\\n  -d ''{\"is_correct\": true, \"comment\": \"just right\"}''\n```\n\nTo watch chats and ratings as they come in, run `gateway tail --follow`. For real answers, set `OPENAI_API_KEY` or name a provider in `config.toml`."}]',NULL,'0',NULL,0.25);
INSERT INTO "traces" VALUES('tr-01a21ddfe7d30a59b6522c149e3ad1a0','8b1d227442520d3d','default','/chat','OK','complete',1795797542867,1795797546828,3961,42,'default','echo','demo','s-1','ann',NULL,'stop',NULL,NULL,6,98,104,0,NULL,NULL,'0057f14fb0f8','{}','{}','And again?','You said: “And again?”

This is the gateway''s built-in demo model: there is no AI behind it, but everything around it is real. The answer streams word by word, and it has a **trace**, whose ID is in the `X-Trace-Id` header and in the `start` and `done` events. With that ID anybody who read the answer can rate it:

```sh
curl ''http://127.0.0.1:8000/feedback?trace_id=TRACE_ID'' \
  -H ''Content-Type: application/json'' \
  -d ''{"is_correct": true, "comment": "just right"}''
```

To watch chats and ratings as they come in, run `gateway tail --follow`. For real answers, set `OPENAI_API_KEY` or name a provider in `config.toml`.','[{"role":"user","content":"Hello! What is this?"},{"role":"assistant","content":"You said: “Hello! What is this?”\n\nThis is the gateway''s built-in demo model: there is no AI behind it, but everything around it is real. The answer streams word by word, and it has a **trace**, whose ID is in the `X-Trace-Id` header and in the `start` and `done` events. With that ID anybody who read the answer can rate it:\n\n```sh\ncurl ''http://127.0.0.1:8000/feedback?trace_id=TRACE_ID'' \\\n  -H ''Content-Type: application/json'' \\\n  -d ''{\"is_correct\": true, \"comment\": \"just right\"}''\n```\n\nTo watch chats and ratings as they come in, run `gateway tail --follow`. For real answers, set `OPENAI_API_KEY` or name a provider in `config.toml`."},{"role":"user","content":"And again?"}]','[{"role":"assistant","content":"You said: “And again?”\n\nThis is the gateway''s built-in demo model: there is no AI behind it, but everything around it is real. The answer streams word by word, and it has a **trace**, whose ID is in the `X-Trace-Id` header and in the `start` and `done` events. With that ID anybody who read the answer can rate it:\n\n```sh\ncurl ''http://127.0.0.1:8000/feedback?trace_id=TRACE_ID'' \\\n  -H ''Content-Type: application/json'' \\\n  -d ''{\"is_correct\": true, \"comment\": \"just right\"}''\n```\n\nTo watch chats and ratings as they come in, run `gateway tail --follow`. For real answers, set `OPENAI_API_KEY` or name a provider in `config.toml`."}]',NULL,'0',NULL,NULL);
INSERT INTO "traces" VALUES('tr-abababababababababababababababab','','default','mlflow','OK',NULL,1767225600000,1795797547811,1500,NULL,'',NULL,NULL,'',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,'','{}','{"mlflow.user":"ann","mlflow.trace.infoFinalized":"true"}',NULL,NULL,NULL,NULL,NULL,'0','own',NULL);
INSERT INTO "traces" VALUES('tr-01a21ddffb30a2cbe58e33ba57b4acb3','22836f237c0357c9','default','/chat/stream','IN_PROGRESS',NULL,1795797547825,NULL,NULL,NULL,'demo/lorem-400-50ms',NULL,NULL,'s-01a21ddffb31d5c83169b7e31b7959b7','ann',NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,'0057f14fb0f8','{}','{}','long',NULL,'[{"role":"user","content":"long"}]',NULL,NULL,'0',NULL,NULL);
INSERT INTO "traces" VALUES('tr-cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd','','default','mlflow','OK',NULL,1760000000000,1760000002000,1000,NULL,'',NULL,NULL,'',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,'','{"mlflow.trace.spansLocation":"TRACKING_STORE"}','{"mlflow.trace_schema.version":"3","mlflow.trace.tokenUsage":"{\"input_tokens\":3,\"output_tokens\":4,\"total_tokens\":7}"}',NULL,NULL,NULL,NULL,NULL,'0','step',NULL);
INSERT INTO "traces" VALUES('tr-01a21ef4e0645c734d0b5f9539497ec1','1a21ef4e064e794f','default','/chat/stream','OK','complete',1000,2000,1000,100,'default','demo/echo','demo','s-picture','ann',NULL,'stop',NULL,NULL,1,2,3,0,NULL,NULL,'','{}','{}','Hi','Hello','[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "gateway-attachment:a821a6bfd759c6d6702fc6fd825c64023c33cf9646f4279714531d021391d5d9"}}]}]','[{"role":"assistant","content":"Hello"}]','[["text","Hello"]]','0',NULL,NULL);
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
CREATE INDEX dataset_sources_of_trace ON dataset_sources (trace_id);
CREATE INDEX spans_by_parent ON spans ((trace_id || '/' || parent_id)) WHERE otlp IS NOT NULL AND covered = 0;
CREATE INDEX trace_attachments_by_digest ON trace_attachments (project, digest);
CREATE INDEX traces_by_outcome ON traces (project, experiment_id, outcome, request_time DESC, trace_id)
    WHERE outcome <> 'complete';
CREATE INDEX sign_ins_expire ON sign_ins (expires);
CREATE UNIQUE INDEX invites_hash ON invites (invite_hash);
CREATE INDEX invites_of_person ON invites (project, user_id);
COMMIT;
