import { EVENT_MARK, PROFILE_MARK } from '../model/data-model.ts';
import { type Parsed, nameProblem, parseColumnNames, parseFields } from '../model/parse.ts';
import type { SettingKind } from './table.ts';

const TOPIC_NAME = /^[A-Za-z0-9._-]{1,200}$/;
const BROKER = /^(\[[0-9a-fA-F:]+\]|[^\s:,/]+):(\d{1,5})$/;
const OFFSET = /^[+-](0\d|1[0-4]):[0-5]\d$/;
const ZONE_NAME = /^[A-Za-z][A-Za-z0-9_+-]*(\/[A-Za-z0-9_+-]+)*$/;
/** Python's names of levels, which the first version's .env files use. */
const LEVEL_ALIASES: Readonly<Record<string, string>> = { warning: 'warn', critical: 'error' };

function wholeNumber(raw: string, min: number, max: number): Parsed {
  const value = Number(raw);
  if (!/^\d+$/.test(raw) || value < min || value > max) {
    return { problem: `must be a whole number from ${min} to ${max}` };
  }
  return { value };
}

function list(raw: string): string[] {
  return raw.split(',').flatMap((part) => (part.trim() === '' ? [] : [part.trim()]));
}

function brokers(raw: string): Parsed {
  const value = list(raw);
  const bad = value.find((broker) => !BROKER.test(broker));
  if (bad !== undefined || value.length === 0) {
    return { problem: 'must be host:port, or several separated by commas' };
  }
  return { value };
}

function url(raw: string): Parsed {
  const parsed = URL.parse(raw);
  const hasLogin = parsed !== null && parsed.username + parsed.password !== '';
  if (parsed === null || !/^https?:$/.test(parsed.protocol) || hasLogin) {
    return { problem: 'must be a URL that begins with https:// or http://, without a user name' };
  }
  let end = raw.length;
  while (raw[end - 1] === '/') end -= 1;
  return { value: raw.slice(0, end) };
}

/** As curl takes it: what names no scheme is an HTTP proxy. */
function proxy(raw: string): Parsed {
  const parsed = URL.parse(raw.includes('://') ? raw : `http://${raw}`);
  if (parsed === null || !/^https?:$/.test(parsed.protocol) || parsed.hostname === '') {
    return { problem: 'must be http://host:port or https://host:port' };
  }
  return { value: parsed.href };
}

function timeZone(raw: string): Parsed {
  if (/^(utc|z)$/i.test(raw)) return { value: '+00:00' };
  if (OFFSET.test(raw) || ZONE_NAME.test(raw)) return { value: raw };
  return { problem: 'must be UTC, an offset such as +02:00, or a name such as Europe/Berlin' };
}

function boolean(raw: string): Parsed {
  if (/^(true|1|yes|on)$/i.test(raw)) return { value: true };
  if (/^(false|0|no|off)$/i.test(raw)) return { value: false };
  return { problem: 'must be true or false' };
}

function oneOf(raw: string, allowed: readonly string[]): Parsed {
  const lower = raw.toLowerCase();
  const value = LEVEL_ALIASES[lower] ?? lower;
  return allowed.includes(value) ? { value } : { problem: `must be one of ${allowed.join(', ')}` };
}

const within = (form: string, parsed: Parsed): Parsed =>
  'problem' in parsed ? { problem: `must be ${form}, comma separated: ${parsed.problem}` } : parsed;

/** Reads one raw value (already trimmed, not empty unless the setting may be). */
export function parseSetting(kind: SettingKind, raw: string): Parsed {
  if (typeof kind === 'object') return oneOf(raw, kind.oneOf);
  switch (kind) {
    case 'text':
      return { value: raw };
    case 'port':
      return wholeNumber(raw, 1, 65_535);
    case 'portOrOff':
      return raw.toLowerCase() === 'off' ? { value: null } : wholeNumber(raw, 0, 65_535);
    case 'positiveInt':
      return wholeNumber(raw, 1, 1_000_000);
    case 'boolean':
      return boolean(raw);
    case 'url':
      return url(raw);
    case 'proxy':
      return proxy(raw);
    case 'list': {
      const value = list(raw);
      return value.length > 0 ? { value } : { problem: 'must name at least one' };
    }
    case 'brokers':
      return brokers(raw);
    case 'timeZone':
      return timeZone(raw);
    case 'topicName':
      return TOPIC_NAME.test(raw)
        ? { value: raw }
        : { problem: 'must consist of letters, digits, dots, underscores and hyphens' };
    case 'tableName': {
      const problem = nameProblem(raw);
      return problem === null ? { value: raw } : { problem: `must be a table's name: ${problem}` };
    }
    case 'columnNames':
      return within('role=name', parseColumnNames(raw));
    case 'profileFields':
      return within('column or column:fieldName', parseFields(raw, PROFILE_MARK));
    case 'eventFields':
      return within('column or column:fieldName', parseFields(raw, EVENT_MARK));
  }
}
