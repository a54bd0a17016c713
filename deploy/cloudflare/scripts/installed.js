// Whether `npm ci` has been run. Run by whatever `node` there is: the one that the
// other scripts need comes with the packages.

import { existsSync } from 'node:fs';

if (!existsSync(new URL('../node_modules/.bin/node', import.meta.url))) {
  console.error('error: the packages are not installed; run `npm ci`');
  process.exitCode = 1;
}
