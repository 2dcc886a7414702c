// The API as a page: every operation of openapi.json.

import { address } from "./api.js";
import { byId, createElement } from "./elements.js";

const NO_BODY = "no body";

function resolve(api, schema) {
  return schema?.$ref ? api.components.schemas[schema.$ref.split("/").pop()] : schema;
}

// Returns a schema in a few words: "object Manifest", "list of Image", "ok, rejected or making".
function typeName(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map(typeName).join(" or ");
  if (schema.enum) return schema.enum.join(", ");
  if (schema.const !== undefined) return String(schema.const);
  if (schema.format === "binary") return "file";
  if (schema.type === "array") return `list of ${typeName(schema.items)}`;
  return [schema.type].flat().join(" or ");
}

const row = (...cells) => createElement("tr", {}, ...cells.map((cell) => createElement("td", {}, cell)));
const code = (text) => createElement("code", {}, text);

// Descriptions have code in backticks.
const prose = (text) => createElement("span", {}, ...text.split("`").map((part, index) => (index % 2 ? code(part) : part)));

function table(title, label, head, rows) {
  if (!rows.length) return null;
  const cells = head.map((text) => createElement("th", { scope: "col" }, text));
  return createElement("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": `${title} of ${label}` },
    createElement("table", { class: "wrapping" }, createElement("caption", {}, title),
      createElement("thead", {}, createElement("tr", {}, ...cells)), createElement("tbody", {}, ...rows)));
}

function parameterRows(operation) {
  return operation.parameters.map((each) => row(code(each.name), `${each.in}, ${typeName(each.schema)}`, prose(each.description || "")));
}

function bodyRows(api, content) {
  return Object.entries(content).flatMap(([type, { schema }]) => {
    const properties = Object.entries(resolve(api, schema).properties || {});
    if (!properties.length) return [row(code(type), typeName(schema), "")];
    const required = resolve(api, schema).required || [];
    return properties.map(([name, each]) => row(code(name), `${typeName(each)}${required.includes(name) ? "" : ", optional"}`, prose(each.description || "")));
  });
}

function responseRows(operation) {
  return Object.entries(operation.responses).map(([status, { description, content = {} }]) => {
    const types = Object.entries(content).map(([type, { schema }]) => `${type}: ${typeName(schema)}`);
    return row(code(status), prose(description), types.join(", ") || NO_BODY);
  });
}

// Returns a command that sends the request.
function example(method, path, operation) {
  const url = `${address("/").replace(/\/$/, "")}${path.replace("{key}", "photo.jpg").replace("{variant}", "small").replace("{ticket}", "TICKET")}`;
  const types = Object.keys(operation.requestBody?.content || {});
  const parts = [`curl${method === "HEAD" ? " -I" : method === "GET" || types.length ? "" : ` -X ${method}`} '${url}'`];
  if (types.includes("application/json")) parts.push(`${method === "POST" ? "" : `-X ${method} `}--json '{…}'`);
  else if (types.includes("multipart/form-data")) parts.push("-F file=@photo.jpg");
  else if (types.length) parts.push("-T photo.jpg");
  return parts.join(" ");
}

function section(api, path, method, operation) {
  const id = operation.operationId;
  const label = `${method.toUpperCase()} ${path}`;
  return createElement("section", { class: "operation", id, "aria-labelledby": `${id}-title` },
    createElement("h2", { id: `${id}-title` }, createElement("span", { class: `method ${method}` }, method.toUpperCase()), " ", code(path)),
    createElement("p", {}, prose(operation.summary)),
    createElement("pre", { tabIndex: 0, role: "region", "aria-label": `Example of ${label}` }, code(example(method.toUpperCase(), path, operation))),
    table("Parameters", label, ["Name", "Type", "Meaning"], parameterRows(operation)),
    table("Body", label, ["Name", "Type", "Meaning"], bodyRows(api, operation.requestBody?.content || {})),
    table("Answers", label, ["Status", "Meaning", "Content"], responseRows(operation)));
}

async function show() {
  const response = await fetch(address("/openapi.json"));
  const api = await response.json();
  byId("title").textContent = `${api.info.title} API ${api.info.version}`;
  byId("summary").textContent = api.info.summary;
  const sections = Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => section(api, path, method, operation)));
  const schemas = Object.entries(api.components.schemas).map(([name, schema]) =>
    createElement("details", { class: "panel", id: `schema-${name}` }, createElement("summary", {}, name),
      createElement("pre", { tabIndex: 0, role: "region", "aria-label": name }, code(JSON.stringify(schema, null, 2)))));
  byId("operations").replaceChildren(...sections, createElement("h2", {}, "Schemas"), ...schemas);
  if (location.hash) document.querySelector(location.hash)?.scrollIntoView();
}

show().catch(() => { byId("summary").textContent = "The server does not answer. Reload this page when it runs."; });
