import { writeFileSync } from 'node:fs';

/**
 * A reporter of vitest that leaves in the file VERDICTS_FILE, for `check.mjs`, how many tests of each file passed and failed.
 * An error that no test waited for is a failure of the file in which it came up; `file` is null where nobody knows.
 */
export default class Verdicts {
  onTestRunEnd(modules, unhandledErrors) {
    const verdicts = modules.map((module) => {
      const states = [...module.children.allTests()].map((test) => test.result().state);
      const failed = states.filter((state) => state === 'failed').length;
      return {
        file: module.moduleId,
        passed: states.filter((state) => state === 'passed').length,
        failed: module.state() === 'failed' ? Math.max(failed, 1) : failed, // one that cannot be loaded has no tests
      };
    });
    for (const { VITEST_TEST_PATH: file = null } of unhandledErrors) {
      const verdict = verdicts.find((each) => each.file === file);
      if (verdict) verdict.failed += 1;
      else verdicts.push({ file, passed: 0, failed: 1 });
    }
    writeFileSync(process.env.VERDICTS_FILE, JSON.stringify(verdicts));
  }
}
