// The errors of a device itself.
#pragma once
#include <isobit/error.h>

namespace isobit {

/// A device failed at a call that was right: a fault of the hardware, of its driver, or of an earlier kernel.
/// The message says whether the device can still be used; other devices can.
class DeviceError : public Error {
 public:
  using Error::Error;
};

}  // namespace isobit
