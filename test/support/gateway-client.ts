import { Agent, request } from 'node:http';

export interface Sent {
  status: number;
  headers: Record<string, unknown>;
  body: string;
}

export interface Wish {
  method?: string;
  path: string;
  body?: object;
  token?: string;
}

/** One request on a kept connection. It fails on any reset, also one that a gateway would silently repeat. */
export function send(agent: Agent, url: string, { method = 'GET', path, body, token }: Wish): Promise<Sent> {
  return new Promise((resolve, reject) => {
    const headers = {
      ...(body ? { 'content-type': 'application/json' } : {}),
      ...(token ? { authorization: `Bearer ${token}` } : {}),
    };
    const asked = request(url + path, { method, agent, headers, timeout: 30_000 }, (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk: string) => (text += chunk));
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: text }));
      answer.on('error', reject);
    });
    asked.on('error', reject);
    asked.on('timeout', () => asked.destroy(new Error('no answer in 30 s')));
    asked.end(body ? JSON.stringify(body) : undefined);
  });
}

/** Sends in turn to those replicas that say they are ready, as load balancers do: asked four times a second. */
export class Gateway {
  readonly agent = new Agent({ keepAlive: true, maxSockets: 64 });
  private readonly ready = new Set<string>();
  private turn = 0;
  private readonly timer: NodeJS.Timeout;

  constructor(private readonly replicas: Set<string>) {
    this.timer = setInterval(() => void this.look(), 250);
  }

  async look(): Promise<void> {
    await Promise.all(
      [...this.replicas].map(async (url) => {
        const answer = await send(this.agent, url, { path: '/health/ready' }).catch(() => null);
        if (answer?.status === 200) this.ready.add(url);
        else this.ready.delete(url);
      }),
    );
    for (const url of this.ready) if (!this.replicas.has(url)) this.ready.delete(url);
  }

  send(wish: Wish): Promise<Sent> {
    const urls = [...this.ready];
    const url = urls[(this.turn += 1) % urls.length];
    return url === undefined ? Promise.reject(new Error('no replica is ready')) : send(this.agent, url, wish);
  }

  close(): void {
    clearInterval(this.timer);
    this.agent.destroy();
  }
}
