// A stream for terminals whose charset is not UTF-8: what is written to it arrives in ASCII, in
// look- alikes of the same width, so that tables and bars still line up. Used by one thread.
#ifndef ATELIER_CLIENT_TERMINAL_ASCII_STREAM_H_
#define ATELIER_CLIENT_TERMINAL_ASCII_STREAM_H_

#include <ostream>
#include <streambuf>
#include <string>

namespace atelier::client {

class AsciiStream : public std::ostream {
 public:
  // `sink` must outlive it.
  explicit AsciiStream(std::ostream* sink) : std::ostream(&buffer_), buffer_(sink) {}

 private:
  class Buffer : public std::streambuf {
   public:
    explicit Buffer(std::ostream* sink) : sink_(sink) {}
    ~Buffer() override;

   protected:
    std::streamsize xsputn(const char* text, std::streamsize size) override;
    int_type overflow(int_type c) override;
    int sync() override;

   private:
    std::ostream* const sink_;
    std::string pending_;  // The beginning of a character.
  };

  Buffer buffer_;
};

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_TERMINAL_ASCII_STREAM_H_
