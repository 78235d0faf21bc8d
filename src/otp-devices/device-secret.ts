/** The purpose that seals a device's secret; with the device's id it is the associated data of the secret box. */
export const DEVICE_SECRET = 'otp-device-secret';
