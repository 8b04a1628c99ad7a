// Fails when src/lib/api/schema.d.ts is not what openapi.json gives.
import { readFile } from 'node:fs/promises';

import openapiTS, { astToString, COMMENT_HEADER } from 'openapi-typescript';

const root = new URL('..', import.meta.url);
const fresh = COMMENT_HEADER + astToString(await openapiTS(new URL('openapi.json', root)));
const kept = await readFile(new URL('src/lib/api/schema.d.ts', root), 'utf8');
if (fresh.trim() !== kept.trim()) {
  console.error('src/lib/api/schema.d.ts is stale: run `npm run api` and commit it');
  process.exit(1);
}
