package samejob;

/** Where results go. */
interface Results {
    /** The key is the pair. */
    void send(byte[] key, byte[] value);
}
