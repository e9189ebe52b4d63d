/**
 * The sentences that the program says at WARN and above, and those of the errors that end it, as its
 * source has them: what docs/messages.md is checked against.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Node, type Program, Visitor, parseSync } from 'oxc-parser';

/**
 * How a sentence reaches people: a line of the log, an outage's line, the end of the program, or as a
 * part of one of these.
 */
export type Way = 'warn' | 'error' | 'fatal' | 'outage' | 'exit 2' | 'exit 3' | 'part';

export interface Message {
  /** With `<name>` for what is filled in. */
  text: string;
  way: Way;
  file: string;
}

const LOGGER = /(^|\.)#?logger$/i;
const OUTAGES = /(^|\.)#?outages$/i;
/** What is handed to these is said by their caller; so are the values of these tables and fields. */
const SAYING = /^#?(gone|giveUp|onTrouble|onWarning|warn|refusedLoss)$/;
const TABLES = /^(AWAY|BECAUSE)$/;
const FIELDS = /^(sentence|because|late)$/;
/** It returns pairs of what happened and what to do, which become an error of exit code 3. */
const PAIRS = /^explanation$/;
const EXIT: Record<string, Way> = { UsageError: 'exit 2', UnavailableError: 'exit 3' };

/** `a.b.c` of an expression, as far as it is names alone. */
function nameOf(node: Node): string {
  if (node.type === 'Identifier' || node.type === 'PrivateIdentifier') return node.name;
  if (node.type === 'ThisExpression') return 'this';
  if (node.type === 'MemberExpression') return `${nameOf(node.object)}.${nameOf(node.property)}`;
  return '';
}

/** The texts of a file's constants, by name. */
type Constants = ReadonlyMap<string, readonly string[]>;

/** What stands in a text for an expression: a constant's text, else its name. */
function filled(node: Node, constants: Constants): string {
  if (node.type === 'TSAsExpression') return filled(node.expression, constants);
  if (node.type === 'CallExpression') return filled(node.callee, constants);
  const texts = node.type === 'Identifier' ? constants.get(node.name) : undefined;
  if (texts?.length === 1) return texts[0] ?? '';
  const last = nameOf(node).split('.').at(-1) ?? '';
  return last === '' ? '…' : `<${last.replace('#', '')}>`;
}

/** The texts that an expression can come to; none where it is not written in its place. */
function textsOf(node: Node, constants: Constants): readonly string[] {
  const texts = (part: Node): readonly string[] => textsOf(part, constants);
  // There are a hundred other kinds.
  // oxlint-disable-next-line typescript/switch-exhaustiveness-check
  switch (node.type) {
    case 'Literal':
      return typeof node.value === 'string' ? [node.value] : [];
    case 'Identifier':
      return constants.get(node.name) ?? [];
    case 'TemplateLiteral': {
      const parts = node.quasis.map(({ value }, i) => {
        const expression = node.expressions[i];
        return (
          (value.cooked ?? '') + (expression === undefined ? '' : filled(expression, constants))
        );
      });
      return [parts.join('')];
    }
    case 'BinaryExpression': {
      const sides = [node.left, node.right].map((side) => {
        const [text, ...others] = texts(side);
        return text === undefined || others.length > 0 ? filled(side, constants) : text;
      });
      return [sides.join('')];
    }
    case 'ConditionalExpression':
      return [...texts(node.consequent), ...texts(node.alternate)];
    case 'LogicalExpression':
      return [...texts(node.left), ...texts(node.right)];
    case 'ParenthesizedExpression':
      return texts(node.expression);
    case 'ArrowFunctionExpression':
      return texts(node.body);
    case 'ObjectExpression':
      return node.properties.flatMap((one) => (one.type === 'Property' ? texts(one.value) : []));
    default:
      return [];
  }
}

/** Those whose name is given once in the file. */
function constantsIn(program: Program): Constants {
  const all = new Map<string, readonly string[]>();
  const twice = new Set<string>();
  new Visitor({
    VariableDeclaration({ kind, declarations }) {
      if (kind !== 'const') return;
      for (const { id, init } of declarations) {
        const name = nameOf(id);
        if (all.has(name)) twice.add(name);
        const isText =
          init !== null && /^(Literal|TemplateLiteral|BinaryExpression)$/.test(init.type);
        all.set(name, isText ? textsOf(init, all) : []);
      }
    },
  }).visit(program);
  for (const name of twice) all.delete(name);
  return new Map([...all].filter(([, texts]) => texts.length > 0));
}

/** Whether it is more than names: those of parts are handed to the same functions. */
const isText = (text: string, way: Way): boolean =>
  /[a-z]{3}/.test(text.replaceAll(/<\w+>/g, '')) && (way !== 'part' || /\s\S+\s/.test(text));

/** As it can stand in a table. */
const plain = (text: string): string => text.replaceAll(/\s+/g, ' ').replaceAll('`', "'").trim();

/** The first of each pair that is written in a function. */
function firstsIn(node: Node): Node[] {
  const firsts: Node[] = [];
  const body = node.type === 'FunctionDeclaration' ? node.body : null;
  if (body === null) return firsts;
  const program = { type: 'Program', body: body.body, start: body.start, end: body.end };
  new Visitor({
    ArrayExpression({ elements: [first] }) {
      if (first !== null && first !== undefined) firsts.push(first);
    },
  }).visit(program as Program);
  return firsts;
}

/** What a call, a construction or a table says. */
function said(
  node: Node,
  exits: ReadonlyMap<string, Way>,
  constants: Constants,
): { way: Way; texts: readonly string[] } | null {
  const texts = (part: Node): readonly string[] => textsOf(part, constants);
  if (node.type === 'NewExpression') {
    const way = exits.get(nameOf(node.callee));
    if (way === undefined || node.arguments[0] === undefined) return null;
    return { way, texts: texts(node.arguments[0]) };
  }
  if (node.type === 'VariableDeclarator' && node.init !== null && TABLES.test(nameOf(node.id)))
    return { way: 'part', texts: texts(node.init) };
  if (node.type === 'Property' && FIELDS.test(nameOf(node.key)))
    return { way: 'part', texts: texts(node.value) };
  if (node.type === 'FunctionDeclaration' && node.id !== null && PAIRS.test(node.id.name))
    return { way: 'exit 3', texts: firstsIn(node).flatMap(texts) };
  if (node.type !== 'CallExpression') return null;
  const path = nameOf(node.callee).split('.');
  const method = path.at(-1) ?? '';
  const object = path.slice(0, -1).join('.');
  if (LOGGER.test(object) && (method === 'warn' || method === 'error' || method === 'fatal')) {
    return { way: method, texts: node.arguments.flatMap(texts) };
  }
  if (SAYING.test(method)) return { way: 'part', texts: node.arguments.flatMap(texts) };
  if (!OUTAGES.test(object) || method !== 'set') return null;
  const [, , reason] = node.arguments;
  return reason === undefined ? null : { way: 'outage', texts: texts(reason) };
}

/** For tests and simulation alone: the package is without it (tsconfig.build.json). */
const NOT_IN_PROGRAM = join('topics', 'memory');

function sources(folder: string): { file: string; program: Program }[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.startsWith(NOT_IN_PROGRAM))
    .toSorted()
    .map((file) => {
      const path = join(folder, file);
      return { file: path, program: parseSync(path, readFileSync(path, 'utf8')).program };
    });
}

export interface Said {
  /** Each text once. */
  messages: Message[];
  /** What lines of the log say that is not written where they are: `letter.reason`. */
  elsewhere: string[];
}

/** All that the sources in a folder say. */
export function saidIn(folder: string): Said {
  const files = sources(folder);
  const exits = new Map(Object.entries(EXIT));
  for (const { program } of files) {
    new Visitor({
      ClassDeclaration({ id, superClass }) {
        const way = superClass === null ? undefined : exits.get(nameOf(superClass));
        if (id !== null && way !== undefined) exits.set(id.name, way);
      },
    }).visit(program);
  }
  const found = new Map<string, Message>();
  const elsewhere: string[] = [];
  for (const { file, program } of files) {
    const constants = constantsIn(program);
    const note = (node: Node): void => {
      const message = said(node, exits, constants);
      if (message === null) return;
      const { way } = message;
      const isLine = way === 'warn' || way === 'error' || way === 'fatal';
      if (isLine && message.texts.length === 0 && node.type === 'CallExpression')
        elsewhere.push(node.arguments.map(nameOf).filter(Boolean).join(', '));
      for (const text of message.texts.map(plain)) {
        if (isText(text, way) && !found.has(text)) found.set(text, { text, way, file });
      }
    };
    new Visitor({
      CallExpression: note,
      NewExpression: note,
      Property: note,
      FunctionDeclaration: note,
      VariableDeclarator: note,
    }).visit(program);
  }
  return { messages: [...found.values()], elsewhere };
}
