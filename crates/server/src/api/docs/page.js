// Renders the OpenAPI document as plain tables: operations by tag, then the schemas they name.

const element = (name, text, ...children) => {
  const node = document.createElement(name);
  if (text) node.textContent = text;
  node.append(...children);
  return node;
};

const link = (name) => {
  const anchor = element('a', name);
  anchor.href = `#${name}`;
  return anchor;
};

// The type of a schema in a few words, with links to the named ones.
const type = (schema) => {
  if (!schema) return element('span', 'nothing');
  if (schema.$ref) return link(schema.$ref.split('/').pop());
  const parts = schema.oneOf ?? schema.anyOf ?? schema.allOf;
  if (parts) return join(parts.map(type), ' or ');
  if (schema.enum) return element('code', schema.enum.map((value) => JSON.stringify(value)).join(' | '));
  const kinds = [schema.type ?? 'any'].flat();
  if (kinds.includes('array')) return join([element('span', 'list of '), type(schema.items)], '');
  return element('span', kinds.join(' or ') + (schema.format ? ` (${schema.format})` : ''));
};

const join = (nodes, separator) => {
  const span = element('span');
  nodes.forEach((node, index) => span.append(...(index ? [separator, node] : [node])));
  return span;
};

const table = (heads, rows) => {
  const head = element('tr', '', ...heads.map((text) => element('th', text)));
  const body = rows.map((cells) => element('tr', '', ...cells.map((cell) => element('td', '', cell))));
  return element('table', '', element('thead', '', head), element('tbody', '', ...body));
};

const bodies = (content) => {
  const kinds = Object.entries(content ?? {});
  if (!kinds.length) return element('span', 'no body');
  return join(kinds.map(([kind, media]) => join([element('code', kind), type(media.schema)], ' ')), ', ');
};

const operation = (path, method, described) => {
  const summary = element('summary', '', element('b', method.toUpperCase()), element('code', path));
  summary.append(element('span', described.summary ?? ''));
  const box = element('details', '', summary);
  if (described.description) box.append(element('p', described.description));
  const parameters = described.parameters ?? [];
  if (parameters.length) {
    box.append(table(['Parameter', 'In', 'Type', 'Meaning'], parameters.map((given) => [
      element('code', given.name), given.in, type(given.schema), given.description ?? '',
    ])));
  }
  if (described.requestBody) box.append(element('p', 'Body: ', bodies(described.requestBody.content)));
  box.append(table(['Answer', 'Body', 'Meaning'], Object.entries(described.responses).map(([status, answer]) => [
    status === 'default' ? 'failure' : status, bodies(answer.content), answer.description,
  ])));
  return box;
};

const schema = (name, described) => {
  const title = element('h3', name);
  title.id = name;
  const box = element('section', '', title);
  if (described.description) box.append(element('p', described.description));
  const required = new Set(described.required ?? []);
  const fields = Object.entries(described.properties ?? {});
  if (!fields.length) return box.append(element('p', '', type(described))), box;
  box.append(table(['Field', 'Type', 'Meaning'], fields.map(([field, value]) => [
    element('code', required.has(field) ? field : `${field}?`), type(value), value.description ?? '',
  ])));
  return box;
};

const render = (api) => {
  document.getElementById('about').textContent = api.info.description;
  const main = document.getElementById('main');
  for (const tag of api.tags) {
    main.append(element('h2', tag.name), element('p', tag.description));
    for (const [path, methods] of Object.entries(api.paths)) {
      for (const [method, described] of Object.entries(methods)) {
        if (described.tags?.includes(tag.name)) main.append(operation(path, method, described));
      }
    }
  }
  main.append(element('h2', 'schemas'));
  for (const [name, described] of Object.entries(api.components.schemas)) main.append(schema(name, described));
};

try {
  const answer = await fetch('/api/openapi.json');
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  render(await answer.json());
} catch (error) {
  document.getElementById('about').textContent = `The description could not be loaded: ${error.message}`;
}
