import { DEFAULT_MODEL } from '../../src/model/data-model.ts';

/** The page views, as the binlog of a database `shop` names them. */
export const PAGE_VIEWS_TABLES = [
  {
    schema: 'shop',
    name: 'page_views',
    table: 'page_views',
    columns: DEFAULT_MODEL.columns.page_views,
  },
] as const;

/** What a decoded row of them calls its columns. */
export const PAGE_VIEWS_COLUMNS = {
  id: 'id',
  userId: 'user_id',
  page: 'page',
  device: 'device',
  browser: 'browser',
  location: 'location',
  eventTime: 'event_time',
  isWallTime: false,
};
