/** A provider that says exactly what a test wants, over OpenAI's API. */

import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export class Provider {
  readonly answers = new Map<string, Iterable<string> | AsyncIterable<string>>();

  private constructor(private readonly server: Server) {}

  static async start(): Promise<Provider> {
    const server = createServer();
    const provider = new Provider(server);
    server.on("request", (request, response) => {
      let body = "";
      request.on("data", (data: Buffer) => (body += data.toString()));
      request.on("end", () => {
        const { model } = JSON.parse(body || "{}") as { model?: string };
        void say(response, provider.answers.get(model ?? "") ?? ["?"]);
      });
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    return provider;
  }

  /** A gateway's configuration with these models. */
  config(...models: string[]): string {
    const { port } = this.server.address() as AddressInfo;
    const head = `[providers.test]\nkind = "openai"\nbase_url = "http://127.0.0.1:${port}/v1"\napi_key = "sk-test"\n`;
    return head + models.map((model) => `[models.${model}]\ntargets = ["test/${model}"]\n`).join("");
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((done) => this.server.close(done));
  }
}

async function say(response: ServerResponse, answer: Iterable<string> | AsyncIterable<string>): Promise<void> {
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  for await (const content of answer)
    response.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`);
  response.end(`data: ${JSON.stringify({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] })}\n\ndata: [DONE]\n\n`);
}
