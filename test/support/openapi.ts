export function expectDocumented(_request: { method: string; url: string }, _response: { statusCode: number; headers: Record<string, unknown>; body: string }): void {}
