/** Event types: libs/mysql/binlog/event/binlog_event.h; those of MariaDB: its sql/log_event.h. */
export const QUERY_EVENT = 2;
export const ROTATE_EVENT = 4;
export const FORMAT_DESCRIPTION_EVENT = 15;
export const XID_EVENT = 16;
export const TABLE_MAP_EVENT = 19;
export const GTID_EVENT = 33;
export const ANONYMOUS_GTID_EVENT = 34;
export const MARIADB_GTID_EVENT = 162;

/** In a packet of the dump: a marker byte, then the common header of 19 bytes, then the body. */
export const SECONDS_OFFSET = 1;
export const TYPE_OFFSET = 5;
export const SERVER_ID_OFFSET = 6;
export const LENGTH_OFFSET = 10;
export const LOG_POSITION_OFFSET = 14;
export const BODY_OFFSET = 20;
