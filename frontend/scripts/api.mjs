/**
 * Writes src/core/api.ts: the gateway's events and replies as types, from its OpenAPI document. Not its requests.
 *
 *     npm run api               write it
 *     npm run api -- --check    say whether it is up to date
 */

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const ROOT = resolve(HERE, "..");
const FILE = join(HERE, "src/core/api.ts");
/** What the front end reads; what these are made of comes along. */
const ROOTS = ["StreamEvent", "SessionReply", "FeedbackList", "ConfigReply", "TicketReply"];

const HEAD = `/**
 * The gateway's events and replies, from its OpenAPI document: \`npm run api\` writes this file again. It has types only,
 * which the core's other files read; nothing here runs.
 */
`;

function generate() {
  const python = process.env.PYTHON ?? join(ROOT, ".venv/bin/python");
  const document = execFileSync(python, ["-m", "gateway.web.openapi"], { cwd: ROOT, maxBuffer: 2 ** 26 });
  const { schemas } = JSON.parse(document.toString()).components;
  const wanted = new Set(ROOTS);
  for (const name of wanted) // which also visits what is added on the way
    for (const [, found] of JSON.stringify(schemas[name]).matchAll(/"#\/components\/schemas\/(\w+)"/g)) wanted.add(found);
  const types = [...wanted].sort().map((name) => {
    const schema = schemas[name];
    return `${comment(schema, "")}export type ${name} = ${typeOf(schema, "")};\n`;
  });
  return [HEAD, ...types].join("\n");
}

/** A JSON Schema as a TypeScript type. */
function typeOf(schema, indent) {
  if (schema.$ref) return schema.$ref.split("/").at(-1);
  if (schema.enum) return union(schema.enum.map((value) => JSON.stringify(value)));
  if (schema.allOf) return schema.allOf.map((each) => typeOf(each, indent)).join(" & ");
  const types = Array.isArray(schema.type) ? schema.type.map((type) => ({ type })) : undefined;
  const some = schema.anyOf ?? schema.oneOf ?? types;
  if (some) return union(some.map((each) => typeOf(each, indent)));
  if (schema.type === "integer") return "number";
  if (schema.type === "array") return `(${typeOf(schema.items ?? {}, indent)})[]`.replace(/^\((\w+)\)/, "$1");
  if (schema.type === "object" && schema.properties) return objectOf(schema, indent);
  if (schema.type === "object") return `Record<string, ${typeOf(schema.additionalProperties ?? {}, indent)}>`;
  return schema.type ?? "unknown";
}

function objectOf({ properties, required = [] }, indent) {
  const inner = `${indent}  `;
  const lines = Object.entries(properties).map(([name, schema]) => {
    // A reply leaves out what is null at most: any other default is in it.
    const there = required.includes(name) || (schema.default !== undefined && schema.default !== null);
    return `${comment(schema, inner)}${inner}${name}${there ? "" : "?"}: ${typeOf(schema, inner)};\n`;
  });
  return `{\n${lines.join("")}${indent}}`;
}

const union = (types) => [...new Set(types)].join(" | ");

/** The first paragraph of a description. */
function comment({ description }, indent) {
  return description ? `${indent}/** ${description.split("\n\n")[0].replaceAll("\n", " ")} */\n` : "";
}

const text = generate();
if (!process.argv.includes("--check")) writeFileSync(FILE, text);
else if (!existsSync(FILE) || readFileSync(FILE, "utf8") !== text) {
  console.error("src/core/api.ts is not what the gateway's OpenAPI document says. Run npm run api.");
  process.exitCode = 1;
}
