/** Every task of the queue and its payload. A payload is stored in clear text: seal what is secret or personal. */
export interface Tasks {
  'send-message': { messageId: string; sealed: string; expiresAt: string | null };
}

export type TaskName = keyof Tasks;
