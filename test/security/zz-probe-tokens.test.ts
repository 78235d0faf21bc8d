import { it } from 'vitest';
import { startApp } from '../support/app.js';
it('probe', async () => {
  const app = await startApp();
  const f = app.app.getHttpAdapter().getInstance();
  
  console.log(typeof f.findRoute, typeof f.hasRoute);
  const show = async (o: any) => { const r = await f.inject(o); console.log(JSON.stringify(o).slice(0,150), '→', r.statusCode, String(r.headers['content-type']), String(r.headers['allow']), r.body.slice(0,330)); };
  const J = {'content-type':'application/json'};
  await show({ method: 'GET', url: '/nope' });
  await show({ method: 'GET', url: '/api/v1/nope' });
  await show({ method: 'PUT', url: '/api/v1/users' });
  await show({ method: 'GET', url: '/api/v1/auth/token' });
  await show({ method: 'TRACE', url: '/api/v1/users/me' });
  await show({ method: 'OPTIONS', url: '/api/v1/users/me' });
  await show({ method: 'POST', url: '/api/v1/auth/token', headers: J, payload: '{' });
  await show({ method: 'POST', url: '/api/v1/auth/token', headers: J, payload: 'null' });
  await show({ method: 'POST', url: '/api/v1/auth/token', headers: J, payload: '[]' });
  await show({ method: 'POST', url: '/api/v1/auth/token', headers: J, payload: '[{"identifier":"a","password":"b"}]' });
  await show({ method: 'POST', url: '/api/v1/auth/token', headers: J, payload: '"a"' });
  await show({ method: 'POST', url: '/api/v1/auth/token', headers: J, payload: '1' });

  await show({ method: 'POST', url: '/api/v1/auth/token', headers: J, payload: '[{"identifier":"a","password":"b"},{}]' });
  await show({ method: 'PATCH', url: '/api/v1/users/me', headers: J, payload: '[]' });
  const {register, signInByMail} = await import('../support/people.js');
  const me = await signInByMail(app, await register(app));
  const A = {...J, authorization: 'Bearer ' + me.accessToken};
  for (const payload of ['[]','null','1','"a"','true','[[]]','{}', '[{"firstName":"x"}]', '[{"firstName":1}]','{"firstName":null}','{"firstName":["a"]}'])
    await show({ method: 'PATCH', url: '/api/v1/users/me', headers: A, payload });
  for (const payload of ['[]','null','1','"a"','true','[{"preferredMethod":"x"}]'])
    await show({ method: 'PATCH', url: '/api/v1/users/me/two-factor', headers: A, payload });
  await show({ method: 'PATCH', url: '/api/v1/users/me/two-factor', headers: A, payload: '{"preferredMethod":["email"]}' });
  await show({ method: 'PATCH', url: '/api/v1/users/me/two-factor', headers: A, payload: '{"toString":"a"}' });
  await show({ method: 'PATCH', url: '/api/v1/users/me/two-factor', headers: A, payload: '{"hasOwnProperty":"a"}' });
  await show({ method: 'POST', url: '/api/v1/otp-devices', headers: A, payload: '{"type":["totp"]}' });
  await show({ method: 'GET', url: '/api/v1/otp-devices/%00', headers: A });
  await show({ method: 'GET', url: '/api/v1/users/me?access_token='+me.accessToken });
  console.log(me.accessToken.length, me.refreshToken);
  await app.close();
});
