import { Global, Module } from '@nestjs/common';
import { MailerModule, MailerService } from '@nestjs-modules/mailer';
import { Config } from '../config/config.js';
import { Mailer } from './channels.js';
import { Notifications } from './notifications.service.js';
import { Outbox, OutboxSms } from './outbox.js';
import { NoSms, SmsSender } from './sms.js';
import { mailerOptions, SmtpMailer } from './smtp.js';
import { Templates } from './templates.js';
import { TwilioMessages, TwilioVerify } from './twilio.js';
import { CodeVerifier, NoVerifier } from './verify-provider.js';

@Global()
@Module({
  // its types demand `imports`, because they do not find the Nest 12 type that makes it optional
  imports: [MailerModule.forRootAsync({ imports: [], inject: [Config], useFactory: mailerOptions })],
  providers: [
    Notifications,
    Outbox,
    { provide: Templates, inject: [Config], useFactory: ({ mail }: Config) => new Templates(mail) },
    {
      provide: Mailer,
      inject: [Config, MailerService, Outbox],
      useFactory: (config: Config, transport: MailerService, outbox: Outbox): Mailer => {
        if (config.mail.smtpUrl !== null) return new SmtpMailer(transport, config);
        // the configuration's checks say this first; here it protects whoever skips them
        if (config.server.production) throw new Error('Production has no outbox: SMTP_URL is required');
        return outbox;
      },
    },
    {
      provide: SmsSender,
      inject: [Config, Outbox],
      useFactory: (config: Config, outbox: Outbox): SmsSender => {
        if (config.sms.driver === 'twilio-messages') return new TwilioMessages(config);
        if (config.sms.driver !== 'outbox') return new NoSms();
        if (config.server.production) throw new Error('Production has no outbox: SMS_DRIVER must be another one');
        return new OutboxSms(outbox);
      },
    },
    {
      provide: CodeVerifier,
      inject: [Config],
      useFactory: (config: Config): CodeVerifier =>
        config.sms.driver === 'twilio-verify' ? new TwilioVerify(config) : new NoVerifier(),
    },
  ],
  exports: [Notifications, Outbox, CodeVerifier],
})
export class NotificationsModule {}
