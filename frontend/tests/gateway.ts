/** A real gateway for a test: `python -m gateway serve` with its own config, store and port; and what its store holds. */

import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const PYTHON = process.env.PYTHON ?? join(ROOT, ".venv/bin/python");

export const CONFIG = `
[streaming]
disconnect_grace_s = 8
heartbeat_s = 1
[models.default]
targets = ["demo/lorem-8-5ms"]
[models.slow]
targets = ["demo/lorem-4000-20ms"]
[models.unicode]
targets = ["demo/unicode-200-2ms"]
[models.fast]
targets = ["demo/lorem-10000-0ms"]
[models.echo]
targets = ["demo/echo"]
[models.broken]
targets = ["gone/model"]
retries = 0
connect_timeout_s = 1
[providers.gone]
kind = "openai"
base_url = "http://127.0.0.1:9/v1"
api_key = "sk-none"
[feedback.dimensions.accuracy]
min = 1
max = 5
[feedback.dimensions.tone]
options = ["too formal", "right", "too casual"]
`;

export interface StoredRating {
  name: string;
  value: string;
  rationale: string | null;
  metadata: string;
  valid: number;
}

export interface StoredTrace {
  trace_id: string;
  session_id: string;
  outcome: string | null;
  state: string;
  response: string | null;
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}

export class Gateway {
  readonly directory = mkdtempSync(join(tmpdir(), "gateway-"));
  output = "";
  private process: ChildProcess | null = null;

  private constructor(
    readonly port: number,
    config: string,
  ) {
    writeFileSync(join(this.directory, "config.toml"), config);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  static async start(config = CONFIG, before?: (gateway: Gateway) => void): Promise<Gateway> {
    const gateway = new Gateway(await freePort(), config);
    before?.(gateway);
    await gateway.start();
    return gateway;
  }

  async start(): Promise<void> {
    const args = ["-m", "gateway", "serve", ...this.options, "--host", "127.0.0.1", "--port", String(this.port)];
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(GATEWAY_|OPENAI_)|_proxy$/i.test(name)));
    const child = spawn(PYTHON, args, { cwd: this.directory, env: { ...env, PYTHONPATH: ROOT } });
    child.stdout.on("data", (data: Buffer) => (this.output += data.toString()));
    child.stderr.on("data", (data: Buffer) => (this.output += data.toString()));
    this.process = child;
    for (let tries = 0; tries < 2000; tries += 1) {
      if (child.exitCode !== null) throw new Error(`the gateway ended with ${child.exitCode}\n${this.output}`);
      if (await fetch(`${this.url}/readyz`).then((r) => r.ok, () => false)) return;
      await new Promise((done) => setTimeout(done, 30));
    }
    throw new Error(`the gateway did not get ready\n${this.output}`);
  }

  /** Another command on the same store, such as `keys create`. */
  run(...args: string[]): string {
    return execFileSync(PYTHON, ["-m", "gateway", ...args, ...this.options], {
      cwd: this.directory,
      env: { ...process.env, PYTHONPATH: ROOT },
    }).toString();
  }

  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const child = this.process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((done) => child.once("exit", done));
    child.kill(signal);
    await gone;
  }

  async close(): Promise<void> {
    await this.end("SIGKILL");
    rmSync(this.directory, { recursive: true, force: true });
  }

  traces(): StoredTrace[] {
    return this.rows<StoredTrace>("SELECT * FROM traces ORDER BY request_time, trace_id");
  }

  /** The text that is stored of an answer. */
  text(traceId: string): string {
    const row = this.traces().find((trace) => trace.trace_id === traceId);
    const [message] = JSON.parse(row?.response ?? "[{}]") as { content?: string }[];
    return message?.content ?? "";
  }

  /** The outcome, once there is one. */
  async outcome(traceId: string): Promise<string> {
    for (let tries = 0; tries < 1500; tries += 1) {
      const found = this.traces().find((trace) => trace.trace_id === traceId)?.outcome;
      if (found) return found;
      await new Promise((done) => setTimeout(done, 40));
    }
    throw new Error(`${traceId} did not end`);
  }

  ratings(traceId: string): StoredRating[] {
    return this.rows<StoredRating & { trace_id: string }>("SELECT * FROM assessments ORDER BY rowid").filter(
      (row) => row.trace_id === traceId,
    );
  }

  private get options(): string[] {
    return ["--config", "config.toml", "--store", `sqlite:///${join(this.directory, "gateway.db")}`];
  }

  private rows<Row>(sql: string): Row[] {
    const script =
      "import json,sqlite3,sys;c=sqlite3.connect(sys.argv[1],timeout=10);c.row_factory=sqlite3.Row;" +
      "print(json.dumps([dict(r) for r in c.execute(sys.argv[2])]))";
    const out = execFileSync(PYTHON, ["-I", "-S", "-c", script, join(this.directory, "gateway.db"), sql], { maxBuffer: 2 ** 28 });
    return JSON.parse(out.toString()) as Row[];
  }
}

/** Wait until it holds; the last failure otherwise. */
export async function until(check: () => void | Promise<void>, timeout = 60_000): Promise<void> {
  const end = Date.now() + timeout;
  for (;;) {
    try {
      await check();
      return;
    } catch (error) {
      if (Date.now() > end) throw error;
    }
    await new Promise((done) => setTimeout(done, 25));
  }
}
