// Embedded data to arrays. The format is written by data.rs and columns.rs. All times here are in milliseconds.

/** Inflates base64 of zlib, as text. */
export async function inflate(base64) {
  const packed = Uint8Array.from(atob(base64.trim()), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).text();
}

/** Differences to numbers; null stays null and changes nothing. */
export function undelta(differences) {
  const numbers = new Array(differences.length);
  let last = 0;
  for (let i = 0; i < differences.length; i++) {
    numbers[i] = differences[i] === null ? null : (last += differences[i]);
  }
  return numbers;
}

function decodeColumn(column) {
  if (column.texts) return column.texts.map((index) => (index === null ? null : column.words[index]));
  return undelta(column.numbers ?? column.hashes);
}

/** A table of rows: `get(name, row)` is a cell, null where there is none. */
export function decodeTable(raw) {
  const columns = {};
  for (const [name, column] of Object.entries(raw?.columns ?? {})) columns[name] = decodeColumn(column);
  return {
    rows: raw?.rows ?? 0,
    columns,
    get: (name, row) => columns[name]?.[row] ?? null,
  };
}

/** The events of a run: parallel arrays of time, host, kind, and row within the table of the kind. */
export function decodeEvents(raw) {
  const scale = raw.unit_ns / 1e6;
  const count = raw.t.length;
  const t = new Float64Array(count);
  let last = 0;
  for (let i = 0; i < count; i++) t[i] = (last += raw.t[i]) * scale;
  const tables = {};
  for (const [name, table] of Object.entries(raw.tables)) tables[name] = decodeTable(table);
  const names = raw.kinds.map(({ name }) => name);
  const next = new Map(names.map((name) => [name, 0]));
  const row = new Uint32Array(count);
  for (let i = 0; i < count; i++) {
    const name = names[raw.kind[i]];
    row[i] = next.get(name);
    next.set(name, row[i] + 1);
  }
  return {
    count,
    t,
    host: Uint16Array.from(raw.host),
    row,
    names: [...new Set(names)],
    tables,
    /** The name of event i's kind. */
    name: (i) => names[raw.kind[i]],
    /** What event i is called; `{field}` stands for a field of it. */
    words: (i) => raw.kinds[raw.kind[i]].words,
    /** A field of event i, null where it has none. */
    field: (i, field) => tables[names[raw.kind[i]]].get(field, row[i]),
  };
}

/** The command of event i whose tag is in a field, as an operation's `tag`; null where there is none. */
export function tagOf(events, i, field) {
  const session = events.field(i, `${field}.session`);
  return session === null ? null : `p${session}#${events.field(i, `${field}.sequence`)}`;
}

/** The operations of a history, in order of invocation. */
export function decodeOperations(raw) {
  const { rows, get } = decodeTable(raw);
  return Array.from({ length: rows }, (_, i) => ({
    id: get("id", i),
    client: get("client", i),
    tag: `p${get("session", i)}#${get("sequence", i)}`,
    op: get("op", i),
    key: get("key", i),
    value: get("value", i),
    expected: get("expected", i),
    planned: get("planned_ns", i) / 1e6,
    start: get("start_ns", i) / 1e6,
    end: get("end_ns", i) === null ? null : get("end_ns", i) / 1e6,
    status: get("status", i),
    result: get("result", i),
    found: get("found", i),
    by: get("by", i),
    term: get("term", i),
    attempts: get("attempts", i),
  }));
}

/** The first index whose item is not below t; `times` ascends. */
export function lowerBound(times, t) {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] < t) low = middle + 1;
    else high = middle;
  }
  return low;
}
