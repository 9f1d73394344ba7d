// Draws /openapi.json as a page. Text only ever becomes text: nothing of the document is taken for HTML.

const make = (name, properties = {}, ...children) => {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) node.setAttribute(key, value);
  node.append(...children);
  return node;
};

const code = (text) => make("code", {}, text);

/** The parts of a text between backticks as code. */
const words = (text) => text.split("`").map((part, at) => (at % 2 ? code(part) : part));

const nameOf = (reference) => reference.slice(reference.lastIndexOf("/") + 1);

const between = (parts, word) => parts.flatMap((part, at) => (at ? [word, ...part] : part));

/** What a schema allows, in few words and links to named schemas. */
function kind(schema) {
  if (schema.$ref) {
    const name = nameOf(schema.$ref);
    return [make("a", { href: `#schema-${name}` }, name)];
  }
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return between(choices.map(kind), " or ");
  if (schema.allOf) return between(schema.allOf.map(kind), " and ");
  if (schema.enum) return between(schema.enum.map((value) => [code(JSON.stringify(value))]), " or ");
  if (schema.type === "array") return ["list of ", ...kind(schema.items ?? {})];
  if (schema.type === "object" && schema.additionalProperties?.type) {
    return ["object of ", ...kind(schema.additionalProperties)];
  }
  return [Array.isArray(schema.type) ? schema.type.join(" or ") : (schema.type ?? "anything")];
}

function table(caption, heads, rows) {
  const head = make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text)));
  const body = rows.map(([first, ...rest]) =>
    make("tr", {}, make("th", { scope: "row" }, ...first), ...rest.map((cell) => make("td", {}, ...cell))),
  );
  const whole = make("table", { "aria-label": caption }, make("thead", {}, head), make("tbody", {}, ...body));
  return make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": caption }, whole);
}

function fields(schema) {
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties ?? {}).map(([name, value]) => [
    [code(name), required.has(name) ? " (required)" : ""],
    kind(value),
    words(value.description ?? ""),
  ]);
}

function operation(path, method, about) {
  const parts = [
    make("h3", {}, code(`${method.toUpperCase()} ${path}`)),
    make("p", {}, make("strong", {}, about.summary + "."), " ", ...words(about.description ?? "")),
  ];
  const ways = (about.security ?? []).map((way) => (way.key ? "a key" : "a feedback token"));
  parts.push(make("p", { class: "quiet" }, ways.length ? `Needs ${ways.join(" or ")}.` : "Open to everybody."));
  if (about.parameters) {
    const rows = about.parameters.map((one) => [
      [code(one.name), one.required ? " (required)" : ""],
      [one.in],
      words(one.description),
    ]);
    parts.push(make("h4", {}, "Parameters"), table("Parameters", ["Name", "In", "Meaning"], rows));
  }
  if (about.requestBody) {
    const [[media, { schema }]] = Object.entries(about.requestBody.content);
    const optional = about.requestBody.required ? "" : ", which may be left out";
    parts.push(make("h4", {}, "Body"), make("p", {}, code(media), ": ", ...kind(schema), optional));
  }
  const rows = Object.entries(about.responses).map(([status, reply]) => {
    const content = Object.entries(reply.content ?? {});
    const shown = content.flatMap(([media, one]) => {
      const schema = one["x-event-data"] ?? one.schema;
      return [code(media), ...(Object.keys(schema).length ? [": ", ...kind(schema)] : [])];
    });
    return [[status], shown, words(reply.description)];
  });
  parts.push(make("h4", {}, "Responses"), table("Responses", ["Status", "Content", "Meaning"], rows));
  return make("article", { id: about.operationId }, ...parts);
}

function schema(name, about) {
  const parts = [make("h3", {}, code(name)), make("p", {}, ...words(about.description ?? ""))];
  const rows = [about, ...(about.allOf ?? [])].flatMap(fields);
  if (!about.properties) parts.push(make("p", {}, ...kind({ ...about, description: undefined })));
  if (rows.length) parts.push(table(`Fields of ${name}`, ["Field", "Type", "Meaning"], rows));
  return make("article", { id: `schema-${name}` }, ...parts);
}

function draw(description) {
  const { info, paths, components } = description;
  document.querySelector("#about").replaceChildren(...words(`${info.description} Release ${info.version}.`));
  const groups = new Map();
  const add = (group, link, text, section, article) => {
    const item = make("li", {}, make("a", { href: `#${link}` }, code(text)));
    if (!groups.has(group)) groups.set(group, []);
    groups.get(group).push({ item, article });
    document.querySelector(section).append(article);
  };
  for (const [path, item] of Object.entries(paths)) {
    for (const [method, about] of Object.entries(item)) {
      const text = `${method.toUpperCase()} ${path}`;
      add(about.tags[0], about.operationId, text, "#operations", operation(path, method, about));
    }
  }
  for (const [name, about] of Object.entries(components.schemas)) {
    add("Schemas", `schema-${name}`, name, "#schemas", schema(name, about));
  }
  const lists = [...groups].map(([group, entries]) => {
    const list = make("ul", {}, ...entries.map(({ item }) => item));
    return { entries, whole: make("li", {}, make("span", {}, group), list) };
  });
  document.querySelector("#contents").replaceChildren(...lists.map(({ whole }) => whole));
  document.querySelector("#filter").addEventListener("input", ({ target }) => {
    const wanted = target.value.trim().toLowerCase();
    let found = 0;
    for (const { entries, whole } of lists) {
      const fitting = entries.filter(({ item, article }) => {
        const fits = article.textContent.toLowerCase().includes(wanted);
        item.hidden = article.hidden = !fits;
        return fits;
      });
      whole.hidden = !fitting.length;
      found += fitting.length;
    }
    document.querySelector("#none").hidden = found > 0;
  });
  document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

try {
  const reply = await fetch("/openapi.json");
  if (!reply.ok) throw new Error(`The gateway answered ${reply.status}.`);
  draw(await reply.json());
} catch (error) {
  document.querySelector("#about").textContent = `The description can't be read. ${error.message}`;
}
