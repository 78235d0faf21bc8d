import { sealedColumns } from '../crypto/sealed-columns.js';
import type { SecretBox } from '../crypto/secret-box.js';
import type { DeviceState } from './methods/method.js';
import type { OtpDevice } from './otp-device.entity.js';

/** The purpose that seals a device's secret; with the device's id it is the associated data of the secret box. */
export const DEVICE_SECRET = sealedColumns.deviceSecrets.purpose;

/** The device as its method sees it. */
export function deviceStateOf({ id, address, sealedSecret, lastStep }: OtpDevice, box: SecretBox): DeviceState {
  return {
    id,
    address,
    secret: sealedSecret === null ? null : box.open(sealedSecret, DEVICE_SECRET, id),
    lastStep: lastStep === null ? null : Number(lastStep),
  };
}
