import type { Connection } from 'mysql2/promise';
import { quoted } from '../../src/model/data-model.ts';
import { FIRST_VIEW } from './workload.ts';

/** Whatever MySQL takes for a name: quotes, dots, what placeholders look like, capitals, Unicode. */
export const ODD_NAMES = {
  CUSTOMERS_TABLE: 'Kunden der "Firma".`2`',
  PAGE_VIEWS_TABLE: 'seiten:ansichten ?',
  COLUMN_NAMES: [
    'customers.id=Kunden.Nr',
    'email=E-Mail',
    'first_name=vor`name',
    'last_name=select',
    'plan_type=tier?',
    'candidate=Größe',
    'page_views.id=`view=id,``no`',
    'user_id=:visitor',
    'page=page',
    'device=user_id',
    'browser=Browser Name',
    'location=ort',
    'event_time=/* narrowed */',
  ].join(','),
};

const CLIENTS = quoted(ODD_NAMES.CUSTOMERS_TABLE);
const VISITS = quoted(ODD_NAMES.PAGE_VIEWS_TABLE);
const VIEW_ID = quoted('view=id,`no');

const TABLES = `
  CREATE TABLE ${CLIENTS} (
    \`Kunden.Nr\` BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    \`E-Mail\` VARCHAR(255) NOT NULL,
    \`vor\`\`name\` VARCHAR(100) NULL,
    \`select\` VARCHAR(100) NULL,
    \`tier?\` ENUM('free', 'basic', 'pro', 'enterprise') NOT NULL DEFAULT 'free',
    \`Größe\` VARCHAR(255) NULL
  ) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
  CREATE TABLE ${VISITS} (
    ${VIEW_ID} BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    \`:visitor\` BIGINT NOT NULL,
    page ENUM('pricing', 'settings', 'features', 'home', 'blog') NOT NULL,
    user_id ENUM('mobile', 'desktop', 'tablet') NULL,
    \`Browser Name\` VARCHAR(100) NULL,
    ort VARCHAR(255) NULL,
    \`/* narrowed */\` TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    KEY (\`:visitor\`, page, \`/* narrowed */\`),
    FOREIGN KEY (\`:visitor\`) REFERENCES ${CLIENTS} (\`Kunden.Nr\`)
  ) ENGINE = InnoDB AUTO_INCREMENT = ${FIRST_VIEW} DEFAULT CHARSET = utf8mb4;`;

/** The same by the usual names, for who writes and for what is expected. */
const views = (database: string): string => `
  CREATE VIEW customers AS SELECT \`Kunden.Nr\` AS id, \`E-Mail\` AS email, \`vor\`\`name\` AS first_name,
    \`select\` AS last_name, \`tier?\` AS plan_type, \`Größe\` AS candidate FROM ${database}.${CLIENTS};
  CREATE VIEW page_views AS SELECT ${VIEW_ID} AS id, \`:visitor\` AS user_id, page, user_id AS device,
    \`Browser Name\` AS browser, ort AS location, \`/* narrowed */\` AS event_time FROM ${database}.${VISITS};
  CREATE TABLE seen_views (id BIGINT NOT NULL, email VARCHAR(255) NOT NULL, PRIMARY KEY (id, email))`;

const remembered = (writer: string, database: string): string[] => [
  ...['INSERT', 'UPDATE'].map(
    (
      what,
    ) => `CREATE TRIGGER ${database}.seen_${what} AFTER ${what} ON ${database}.${VISITS} FOR EACH ROW
      INSERT IGNORE INTO ${writer}.seen_views SELECT NEW.${VIEW_ID}, email FROM ${writer}.customers
      WHERE id = NEW.\`:visitor\` AND NEW.page IN ('pricing','settings')`,
  ),
  `CREATE TRIGGER ${database}.seen_customer AFTER UPDATE ON ${database}.${CLIENTS} FOR EACH ROW
     INSERT IGNORE INTO ${writer}.seen_views SELECT id, NEW.\`E-Mail\` FROM ${writer}.page_views
     WHERE user_id = NEW.\`Kunden.Nr\` AND page IN ('pricing','settings')`,
];

/**
 * Makes the tables with the odd names in `database`, and views of them with the usual names in
 * another one, which the connection uses from then on.
 */
export async function prepareRenamed(connection: Connection, database: string): Promise<void> {
  const writer = `${database}_views`;
  await connection.query(`USE ${database}; ${TABLES}`);
  await connection.query(`CREATE DATABASE ${writer}; USE ${writer}; ${views(database)}`);
  for (const statement of remembered(writer, database)) await connection.query(statement);
}

export const dropRenamed = async (connection: Connection, database: string): Promise<void> => {
  await connection.query(`DROP DATABASE IF EXISTS ${database}_views`);
};
