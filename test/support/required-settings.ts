/** Settings without a default. */
export const REQUIRED = {
  DB_HOST: 'db',
  DB_USER: 'me',
  DB_PASSWORD: '',
  DB_NAME: 'shop',
  ITERABLE_API_KEY: 'key',
};
