/** One line of the doctor's report. */
export interface Check {
  name: string;
  state: 'ok' | 'warning' | 'failed';
  /** What was found, and what to do about it. Never a value of a setting. */
  detail: string;
}

export const ok = (name: string, detail: string): Check => ({ name, state: 'ok', detail });
export const warning = (name: string, detail: string): Check => ({ name, state: 'warning', detail });
export const failed = (name: string, detail: string): Check => ({ name, state: 'failed', detail });
