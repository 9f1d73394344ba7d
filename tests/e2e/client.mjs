// A browser's few lines, as users write them: fetch, split on newlines, keep the last partial line, switch on `type`.
// Usage: node client.mjs GATEWAY_URL JSON_BODY → one line of JSON with what it saw and what rating it answered.
const [base, body] = process.argv.slice(2);
const response = await fetch(`${base}/chat/stream`, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body,
});
const seen = { status: response.status, header: response.headers.get("x-trace-id"), text: "", traceId: null, error: null };
const reader = response.body.getReader();
const decoder = new TextDecoder();
let buffer = "";
for (;;) {
  const { done, value } = await reader.read();
  if (done) break;
  buffer += decoder.decode(value, { stream: true });
  const lines = buffer.split("\n");
  buffer = lines.pop();
  for (const line of lines) {
    if (!line.startsWith("data: ")) continue;
    const event = JSON.parse(line.slice(6));
    switch (event.type) {
      case "token":
        seen.text += event.content;
        break;
      case "done":
        seen.traceId = event.trace_id;
        break;
      case "error":
        seen.error = event.error;
        break;
    }
  }
}
const rated = await fetch(`${base}/feedback?trace_id=${seen.traceId ?? seen.header}`, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({ is_correct: true, comment: null }),
});
console.log(JSON.stringify({ ...seen, rest: buffer, rated: rated.status, rating: await rated.json() }));
