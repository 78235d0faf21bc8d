import { Global, Module } from '@nestjs/common';
import { MailerModule, MailerService } from '@nestjs-modules/mailer';
import { Config } from '../config/config.js';
import { Mailer } from './channels.js';
import { Notifications } from './notifications.service.js';
import { Outbox } from './outbox.js';
import { mailerOptions, SmtpMailer } from './smtp.js';
import { Templates } from './templates.js';

@Global()
@Module({
  // its types demand `imports`, because they do not find the Nest 12 type that makes it optional
  imports: [MailerModule.forRootAsync({ imports: [], inject: [Config], useFactory: mailerOptions })],
  providers: [
    Notifications,
    Outbox,
    { provide: Templates, useFactory: () => new Templates() },
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
  ],
  exports: [Notifications, Outbox],
})
export class NotificationsModule {}
