import base from '../playwright.config.ts';

export default { ...base, testDir: '.', testMatch: '*.interop.ts', timeout: 300_000, outputDir: '../../target/interop/playwright' };
