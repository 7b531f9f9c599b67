find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(HWY REQUIRED)   # Google Highway: vectors with run-time dispatch
find_package(ZLIB REQUIRED)
find_package(PNG REQUIRED)
find_package(JPEG REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)   # SHA-256
find_package(nlohmann_json REQUIRED)
if(ISOBIT_CLI)
  find_package(CLI11 REQUIRED)
endif()
