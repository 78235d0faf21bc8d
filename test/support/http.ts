import { expectDocumented } from './openapi.js';

export interface Answer<Body = Record<string, unknown>> {
  status: number;
  headers: Record<string, unknown>;
  body: Body;
  /** The body as it was sent. */
  text: string;
}

interface RequestOptions {
  token?: string | undefined;
  headers?: Record<string, string>;
}

/** The application in this process, or a client of one in another. */
interface Server {
  inject(request: {
    method: Method;
    url: string;
    headers: Record<string, string>;
    payload?: string;
  }): Promise<{ statusCode: number; headers: Record<string, string | string[] | number | undefined>; body: string }>;
}

type Method = 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';

/** A client of the API. Every answer is held against the OpenAPI document. Paths are those below /api/v1. */
export class Http {
  constructor(private readonly server: Server) {}

  get<Body = Record<string, unknown>>(path: string, options?: RequestOptions): Promise<Answer<Body>> {
    return this.send<Body>('GET', path, undefined, options);
  }

  post<Body = Record<string, unknown>>(path: string, body?: unknown, options?: RequestOptions): Promise<Answer<Body>> {
    return this.send<Body>('POST', path, body, options);
  }

  patch<Body = Record<string, unknown>>(path: string, body?: unknown, options?: RequestOptions): Promise<Answer<Body>> {
    return this.send<Body>('PATCH', path, body, options);
  }

  put<Body = Record<string, unknown>>(path: string, body?: unknown, options?: RequestOptions): Promise<Answer<Body>> {
    return this.send<Body>('PUT', path, body, options);
  }

  delete<Body = Record<string, unknown>>(path: string, options?: RequestOptions): Promise<Answer<Body>> {
    return this.send<Body>('DELETE', path, undefined, options);
  }

  async send<Body = Record<string, unknown>>(
    method: Method,
    path: string,
    body?: unknown,
    { token, headers = {} }: RequestOptions = {},
  ): Promise<Answer<Body>> {
    const url = path.startsWith('/.well-known') || path.startsWith('/dev') ? path : `/api/v1${path}`;
    const response = await this.server.inject({
      method,
      url,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...headers,
      },
      ...(body === undefined ? {} : { payload: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    expectDocumented({ method, url }, response);
    const isJson = String(response.headers['content-type'] ?? '').includes('json');
    return {
      status: response.statusCode,
      headers: response.headers,
      body: (isJson ? JSON.parse(response.body) : {}) as Body,
      text: response.body,
    };
  }
}
