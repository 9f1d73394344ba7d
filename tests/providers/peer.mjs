// A server for the HTTP client's tests: `node peer.mjs [KEY CERT]` prints its port. What it answers, the path says.
import { readFileSync } from "node:fs";
import { createServer as plain } from "node:http";
import { createServer as secure } from "node:https";
import { gzipSync } from "node:zlib";

const [key, cert] = process.argv.slice(2).map((file) => readFileSync(file));
const ports = new Map(); // a client's port → which connection that is

function answer(request, response) {
  if (!ports.has(request.socket.remotePort)) ports.set(request.socket.remotePort, ports.size + 1);
  const body = [];
  request.on("data", (piece) => body.push(piece));
  request.on("end", async () => {
    const text = `${ports.get(request.socket.remotePort)} ${Buffer.concat(body).length}`;
    if (request.url.endsWith("/gzip")) {
      response.setHeader("Content-Encoding", "gzip");
      response.end(gzipSync(text));
    } else if (request.url.endsWith("/close")) {
      response.setHeader("Connection", "close");
      response.end(text);
    } else if (request.url.endsWith("/hints")) {
      response.writeEarlyHints({ link: "</a>; rel=preload" });
      response.end(text);
    } else if (request.url.endsWith("/cut")) {
      response.write("some");
      setTimeout(() => request.socket.destroy(), 5);
    } else {
      for (const letter of text) {
        response.write(letter);
        await new Promise((done) => setTimeout(done, 1));
      }
      response.end();
    }
  });
}

const server = key ? secure({ key, cert }, answer) : plain(answer);
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
